// A coroutine that waits for another part of the program to wake it: the one bridge between
// callbacks (a timer that fires, a batch that is on disk) and `co_await`.
//
// The part that wakes it keeps the Wakeup and calls `wake` once it is ready, from any thread. The
// result, if there is one, is left in an object that both know. Dropping the last Wakeup without
// waking destroys the waiting coroutine: do so only while its executor still exists.
#pragma once

#include <functional>
#include <memory>

#include <boost/system/error_code.hpp>

#include "tally/core/clock.hpp"

namespace tally {

class Wakeup {
 public:
  virtual ~Wakeup() = default;
  // Posts the waiter to its own executor, never inline; with an error it throws `system_error`
  // there. Only the first call counts. Any thread.
  virtual void wake(boost::system::error_code result = {}) = 0;
};

// Suspends the calling coroutine and hands its Wakeup to `started`, which is called at once. A
// cancellation wakes it with operation_aborted; a later `wake` is then without effect.
awaitable<void> suspend(std::function<void(std::shared_ptr<Wakeup>)> started);

// The same, but a cancellation waits: for work that cannot be recalled and uses what the waiting
// coroutine owns. The coroutine's next `co_await` then throws.
awaitable<void> suspend_to_the_end(std::function<void(std::shared_ptr<Wakeup>)> started);

}  // namespace tally
