#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tally/audit/posix.hpp"

namespace tally::audit {

struct LogThread::State {
  LogWriter& writer;
  std::chrono::nanoseconds between;
  std::mutex mutex;
  std::condition_variable arrived;
  bool work = true;  // a torn tail may wait to be recorded
  bool stopping = false;
  std::thread thread;

  State(LogWriter& of, Nanos least) : writer(of), between(least) {}

  void wake() {
    {
      const std::scoped_lock lock(mutex);
      work = true;
    }
    arrived.notify_one();
  }

  // True when there is something to do; false at the end.
  bool wait_for_work() {
    std::unique_lock lock(mutex);
    arrived.wait(lock, [this] { return work || stopping; });
    const bool more = work;
    work = false;
    return more || !stopping;
  }
  bool idle() {
    const std::scoped_lock lock(mutex);
    return !work && !stopping;
  }

  void run() {
    using Steady = std::chrono::steady_clock;
    while (wait_for_work()) {
      for (;;) {
        const auto start = Steady::now();
        if (!writer.commit_batch()) break;
        // Under load a short pause lets batches grow; an idle log never waits.
        if (between.count() > 0 && !idle()) std::this_thread::sleep_until(start + between);
      }
      while (idle() && writer.fill_ahead()) {
      }
    }
  }
};

LogThread::LogThread(LogWriter& writer, Nanos between)
    : state_(std::make_unique<State>(writer, between)) {
  writer.on_work([state = state_.get()] { state->wake(); });
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

LogThread::~LogThread() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->stopping = true;
    state_->work = true;
  }
  state_->arrived.notify_one();
  state_->thread.join();
  state_->writer.on_work({});
}

}  // namespace tally::audit
