#include "tally/core/wakeup.hpp"

#include <exception>
#include <thread>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>

#include <gtest/gtest.h>

namespace tally {
namespace {
namespace asio = boost::asio;

struct Waiter {
  asio::io_context context{1};
  asio::cancellation_signal stop;
  std::shared_ptr<Wakeup> wakeup;
  bool went_on = false;
  std::exception_ptr failure;

  awaitable<void> wait(bool to_the_end) {
    auto started = [this](std::shared_ptr<Wakeup> handed) { wakeup = std::move(handed); };
    if (to_the_end) {
      co_await suspend_to_the_end(std::move(started));
    } else {
      co_await suspend(std::move(started));
    }
    went_on = true;
  }
  void start(bool to_the_end) {
    auto done = [this](std::exception_ptr thrown) { failure = std::move(thrown); };
    asio::co_spawn(
        context, wait(to_the_end), asio::bind_cancellation_slot(stop.slot(), std::move(done))
    );
    poll();
  }
  void poll() {
    context.restart();
    context.poll();
  }
  boost::system::error_code code() const {
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
      return error.code();
    }
    return {};
  }
};

TEST(Wakeup, IsPostedAndNeverInline) {
  Waiter waiter;
  waiter.start(false);
  ASSERT_TRUE(waiter.wakeup);
  waiter.wakeup->wake();
  waiter.wakeup->wake(asio::error::timed_out);  // only the first counts
  EXPECT_FALSE(waiter.went_on);
  waiter.poll();
  EXPECT_TRUE(waiter.went_on);
  EXPECT_FALSE(waiter.failure);
}

TEST(Wakeup, AnErrorIsThrown) {
  Waiter waiter;
  waiter.start(false);
  waiter.wakeup->wake(asio::error::timed_out);
  waiter.poll();
  EXPECT_EQ(waiter.code(), asio::error::timed_out);
}

TEST(Wakeup, ACancellationWakes) {
  Waiter waiter;
  waiter.start(false);
  waiter.stop.emit(asio::cancellation_type::terminal);
  waiter.poll();
  waiter.wakeup->wake();
  waiter.poll();
  EXPECT_FALSE(waiter.went_on);
  EXPECT_EQ(waiter.code(), asio::error::operation_aborted);
}

TEST(Wakeup, ACancellationAfterTheWakeIsTooLate) {
  Waiter waiter;
  waiter.start(false);
  waiter.wakeup->wake();
  waiter.stop.emit(asio::cancellation_type::terminal);
  waiter.poll();
  EXPECT_TRUE(waiter.went_on);
  EXPECT_FALSE(waiter.failure);
}

TEST(Wakeup, AWaitToTheEndIsDeafToCancellation) {
  Waiter waiter;
  waiter.start(true);
  waiter.stop.emit(asio::cancellation_type::terminal);
  waiter.poll();
  EXPECT_FALSE(waiter.went_on);
  EXPECT_FALSE(waiter.failure);
  waiter.wakeup->wake();
  waiter.poll();
  EXPECT_TRUE(waiter.went_on);
}

TEST(Wakeup, DroppedItUnwindsTheWaiter) {
  Waiter waiter;
  waiter.start(false);
  waiter.wakeup.reset();
  waiter.poll();
  EXPECT_FALSE(waiter.went_on);
}

TEST(Wakeup, ComesFromAnyThread) {
  asio::io_context context{1};
  constexpr int count = 200;
  int woken = 0;
  std::vector<std::thread> wakers;
  auto task = [&]() -> awaitable<void> {
    auto started = [&](const std::shared_ptr<Wakeup>& wakeup) {
      wakers.emplace_back([wakeup] { wakeup->wake(); });
      wakers.emplace_back([wakeup] { wakeup->wake(); });
    };
    co_await suspend(std::move(started));
    ++woken;
  };
  for (int i = 0; i < count; ++i) asio::co_spawn(context, task(), [](const std::exception_ptr&) {});
  context.run();
  for (auto& waker : wakers) waker.join();
  EXPECT_EQ(woken, count);
}

}  // namespace
}  // namespace tally
