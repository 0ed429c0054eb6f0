// What a coroutine that has nothing to do waits for: rung while nobody waits, the next wait ends at
// once. One waiter. Rung from any thread. When it goes, whoever waits is taken away: only while the
// waiter's executor still exists.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "tally/core/clock.hpp"
#include "tally/core/wakeup.hpp"

namespace tally {

class Bell {
 public:
  Bell() : state_(std::make_shared<State>()) {}
  // The waiting coroutine is held by its wakeup, and holds the state: cut here.
  ~Bell() {
    std::shared_ptr<Wakeup> waiter;
    const std::lock_guard guard(state_->mutex);
    waiter.swap(state_->waiter);
  }
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  void ring() {
    std::shared_ptr<Wakeup> waiter;
    {
      const std::lock_guard guard(state_->mutex);
      state_->rung = true;
      waiter.swap(state_->waiter);
    }
    if (waiter) waiter->wake();
  }

  // Returns when it was rung since the last return.
  awaitable<void> wait() { return wait_for(state_); }

 private:
  struct State {
    std::mutex mutex;
    bool rung = false;               // mutex
    std::shared_ptr<Wakeup> waiter;  // mutex
  };

  static awaitable<void> wait_for(std::shared_ptr<State> state) {
    auto started = [state](std::shared_ptr<Wakeup> wakeup) {
      const std::lock_guard guard(state->mutex);
      if (state->rung) {
        wakeup->wake();
      } else {
        state->waiter = std::move(wakeup);
      }
    };
    co_await suspend(std::move(started));
    // Not after a cancellation: what was rung meanwhile is not lost.
    const std::lock_guard guard(state->mutex);
    state->rung = false;
  }

  std::shared_ptr<State> state_;
};

}  // namespace tally
