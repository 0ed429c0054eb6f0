#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "tally/audit/posix.hpp"

namespace tally::audit {

struct HelperThread::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::function<void()> work;  // set until it is done
  bool stopping = false;
  std::thread thread;

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return work || stopping; });
      if (!work) return;
      lock.unlock();
      work();
      lock.lock();
      work = nullptr;
      changed.notify_all();
    }
  }
};

HelperThread::HelperThread() : state_(std::make_unique<State>()) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

HelperThread::~HelperThread() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

void HelperThread::begin(std::function<void()> work) {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->work = std::move(work);
  }
  state_->changed.notify_all();
}

void HelperThread::wait() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return !state_->work; });
}

}  // namespace tally::audit
