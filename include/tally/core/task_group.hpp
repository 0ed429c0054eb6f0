// The owner of coroutines that run beside the one that started them. `co_spawn(…, detached)` is not
// used anywhere else: every coroutine has an owner, and its exception is noted.
#pragma once

#include <memory>
#include <string_view>

#include "tally/core/clock.hpp"
#include "tally/core/notices.hpp"

namespace tally {

class TaskGroup {
 public:
  // Tasks run on `executor`, a single-threaded one; all calls come from it.
  TaskGroup(boost::asio::any_io_executor executor, Notices& notices);
  ~TaskGroup();  // requires that no task runs any more, or that the context runs no more
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  void spawn(std::string_view name, awaitable<void> task);
  // Asks all tasks to stop (cancellation type `terminal`), and every one that is spawned later: what
  // a task begins on its way out must not outlive the others.
  void cancel();
  // Completes when none is left.
  awaitable<void> drained();
  [[nodiscard]] std::size_t size() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tally
