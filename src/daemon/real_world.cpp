#include "real_world.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <nlohmann/json.hpp>
#include <openssl/rand.h>

#include "tally/core/json.hpp"
#include "tally/core/wakeup.hpp"

namespace tally::daemon {

namespace {

constexpr Nanos believable_step = seconds(300);

Nanos nanos_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<Nanos>(now.tv_sec) * nanos_per_second + now.tv_nsec;
}

}  // namespace

SystemClock::SystemClock(bool test)
    : test_(test), real_minus_boot_(nanos_of(CLOCK_REALTIME) - nanos_of(CLOCK_BOOTTIME)) {}

ClockReading SystemClock::read() {
  const Nanos real = nanos_of(CLOCK_REALTIME);
  const Nanos drift = real - nanos_of(CLOCK_BOOTTIME) - real_minus_boot_;
  const Instant at = Instant{} + (real + offset_.load(std::memory_order_relaxed));
  return {at, drift < believable_step && drift > -believable_step};
}

Result<void> SystemClock::advance(Nanos span) {
  if (!test_) return fail(ErrorKind::conflict, {"daemon.clock-not-test", {}});
  if (span < 0) return fail(ErrorKind::invalid, {"daemon.clock-backwards", {}});
  offset_.fetch_add(span, std::memory_order_relaxed);
  moves_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

awaitable<void> AsioTimers::sleep_until(Instant at) {
  const Nanos slice = clock_.is_test() ? milliseconds(50) : seconds(1);
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  do {
    const Nanos left = std::clamp<Nanos>(at - clock_.read().at, 0, slice);
    timer.expires_after(std::chrono::nanoseconds(left));
    co_await timer.async_wait(boost::asio::use_awaitable);
  } while (clock_.read().at < at);
}

awaitable<void> AsioTimers::sleep_for(Nanos span) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  timer.expires_after(std::chrono::nanoseconds(std::max<Nanos>(span, 0)));
  co_await timer.async_wait(boost::asio::use_awaitable);
}

ThreadWorker::~ThreadWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

awaitable<void> ThreadWorker::run(std::function<void()> job) {
  // The job uses what its coroutine owns: a cancellation waits for it.
  auto started = [this, &job](std::shared_ptr<Wakeup> waiter) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.emplace_back([&job, waiter = std::move(waiter)] {
        job();
        waiter->wake();
      });
      if (idle_ == 0 && threads_.size() < most_) threads_.emplace_back([this] { work(); });
    }
    wake_.notify_one();
  };
  co_await suspend_to_the_end(std::move(started));
}

void ThreadWorker::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    --idle_;
    if (jobs_.empty()) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

namespace {

// Every record has an id, and libcrypto's generator costs as much for its 16 bytes as for a page.
// What was handed out is wiped; this program never forks.
class RandomPage {
 public:
  void take(std::span<std::uint8_t> out) {
    if (left_ < out.size()) {
      random_bytes(page_);
      left_ = page_.size();
    }
    const auto from = page_.end() - static_cast<std::ptrdiff_t>(left_);
    std::copy_n(from, out.size(), out.begin());
    std::fill_n(from, out.size(), std::uint8_t{0});
    left_ -= out.size();
  }

  static void random_bytes(std::span<std::uint8_t> out) {
    // Without randomness nothing that this program promises holds: no token, key or id may be made.
    if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) std::abort();
  }

 private:
  std::array<std::uint8_t, 1024> page_{};
  std::size_t left_ = 0;
};

// More is asked for tokens and keys: those come from the generator itself and stand nowhere else.
constexpr std::size_t most_of_page = 16;

}  // namespace

void OsRandom::fill(std::span<std::uint8_t> out) {
  if (out.size() > most_of_page) return RandomPage::random_bytes(out);
  thread_local RandomPage page;
  page.take(out);
}

void StderrNotices::note(Severity severity, const Message& message) {
  if (severity < least_) return;
  static constexpr const char* names[] = {"debug", "info", "warning", "error"};
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  Json line = {
      {"time", format_micros(Instant{now.tv_sec, static_cast<std::int32_t>(now.tv_nsec)})},
      {"severity", names[static_cast<int>(severity)]},
      {"code", message.code},
      {"text", render(message, lang_)},
  };
  if (!message.params.empty()) line["params"] = message.params;
  const std::string text =
      line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace tally::daemon
