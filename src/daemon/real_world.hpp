// The world as the daemon meets it: wall clock, Asio timers, worker threads, the kernel's
// randomness, standard error. The simulator has its own of each (tests/sim).
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "tally/core/clock.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/result.hpp"

namespace boost::asio {
class io_context;
}

namespace tally::daemon {

// CLOCK_REALTIME, watched against CLOCK_BOOTTIME: a step of more than five minutes in either
// direction makes readings unreliable until both agree again. A test clock can be moved forward; it
// exists only on a log whose genesis says `test`. Any thread.
class SystemClock : public Clock {
 public:
  explicit SystemClock(bool test);
  ClockReading read() override;

  [[nodiscard]] bool is_test() const { return test_; }
  // Moves a test clock forward by `span`; a conflict (daemon.clock-not-test) on any other.
  Result<void> advance(Nanos span);
  // For timers that have to look again after a move.
  [[nodiscard]] std::int64_t moves() const { return moves_.load(std::memory_order_relaxed); }

 private:
  const bool test_;
  const Nanos real_minus_boot_;  // at start: what both clocks should keep between them
  std::atomic<Nanos> offset_{0};
  std::atomic<std::int64_t> moves_{0};
};

// Asio's steady timers behind the seam. `sleep_until` re-reads the clock at least every second
// (every 50 ms on a test clock), so that a step of the wall clock is noticed.
class AsioTimers : public Timers {
 public:
  explicit AsioTimers(SystemClock& clock) : clock_(clock) {}
  awaitable<void> sleep_until(Instant at) override;
  awaitable<void> sleep_for(Nanos span) override;

 private:
  SystemClock& clock_;
};

// Started on the first job, so that an idle connector has no idle threads.
class ThreadWorker : public Worker {
 public:
  explicit ThreadWorker(std::size_t threads) : most_(threads) {}
  ~ThreadWorker() override;
  awaitable<void> run(std::function<void()> job) override;

 private:
  void work();
  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

class OsRandom : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

// One JSON line per notice on standard error: time, severity, code, parameters, and the sentence in
// the operator's language. Codes and ids only.
class StderrNotices : public Notices {
 public:
  explicit StderrNotices(Lang lang, Severity least = Severity::info) : lang_(lang), least_(least) {}
  void note(Severity severity, const Message& message) override;

 private:
  const Lang lang_;
  const Severity least_;
};

}  // namespace tally::daemon
