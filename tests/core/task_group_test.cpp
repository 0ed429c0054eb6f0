#include "tally/core/task_group.hpp"

#include <stdexcept>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <gtest/gtest.h>

namespace tally {
namespace {
namespace asio = boost::asio;

class Collected final : public Notices {
 public:
  void note(Severity, const Message& message) override { messages.push_back(message); }
  std::vector<Message> messages;
};

awaitable<void> turns(int count, int* done) {
  const auto executor = co_await asio::this_coro::executor;
  for (int i = 0; i < count; ++i) co_await asio::post(executor, asio::use_awaitable);
  ++*done;
}

awaitable<void> forever() {
  const auto executor = co_await asio::this_coro::executor;
  for (;;) co_await asio::post(executor, asio::use_awaitable);
}

awaitable<void> thrower() {
  throw std::runtime_error("broken");
  co_return;
}

TEST(TaskGroup, DrainedCompletesWhenTheLastTaskHasEnded) {
  asio::io_context context{1};
  Collected notices;
  TaskGroup group(context.get_executor(), notices);
  int done = 0;
  int at_drained = -1;
  group.spawn("a", turns(3, &done));
  group.spawn("b", turns(9, &done));
  auto wait = [&]() -> awaitable<void> {
    co_await group.drained();
    at_drained = done;
  };
  asio::co_spawn(context, wait(), [](const std::exception_ptr&) {});
  EXPECT_EQ(group.size(), 2U);
  context.run();
  EXPECT_EQ(at_drained, 2);
  EXPECT_EQ(group.size(), 0U);
  EXPECT_TRUE(notices.messages.empty());
}

TEST(TaskGroup, CancelStopsTasksAndSaysNothing) {
  asio::io_context context{1};
  Collected notices;
  TaskGroup group(context.get_executor(), notices);
  group.spawn("endless", forever());
  for (int i = 0; i < 20; ++i) context.poll_one();
  EXPECT_EQ(group.size(), 1U);
  group.cancel();
  context.run();
  EXPECT_EQ(group.size(), 0U);
  EXPECT_TRUE(notices.messages.empty());
}

// Without it a connector that was told to stop while it began its work would go on for ever.
TEST(TaskGroup, WhatIsSpawnedAfterTheCancelIsCancelledToo) {
  asio::io_context context{1};
  Collected notices;
  TaskGroup group(context.get_executor(), notices);
  bool drained = false;
  auto stop = [&]() -> awaitable<void> {
    group.cancel();
    group.spawn("late", forever());
    co_await group.drained();
    drained = true;
  };
  asio::co_spawn(context, stop(), [](const std::exception_ptr&) {});
  for (int i = 0; i < 1000 && context.poll_one() > 0; ++i) continue;
  EXPECT_TRUE(drained);
  EXPECT_EQ(group.size(), 0U);
  EXPECT_TRUE(notices.messages.empty());
}

TEST(TaskGroup, AnExceptionOfATaskIsNoted) {
  asio::io_context context{1};
  Collected notices;
  TaskGroup group(context.get_executor(), notices);
  group.spawn("clumsy", thrower());
  context.run();
  ASSERT_EQ(notices.messages.size(), 1U);
  EXPECT_EQ(notices.messages[0].code, "core.task-failed");
  EXPECT_EQ(notices.messages[0].params.at("task"), "clumsy");
  EXPECT_EQ(notices.messages[0].params.at("detail"), "broken");
}

TEST(TaskGroup, AWaitForTheEndCanBeGivenUp) {
  asio::io_context context{1};
  Collected notices;
  asio::cancellation_signal give_up;
  bool aborted = false;
  bool ended = false;
  {
    TaskGroup group(context.get_executor(), notices);
    group.spawn("endless", forever());
    auto wait = [&]() -> awaitable<void> {
      co_await group.drained();
      ended = true;
    };
    asio::co_spawn(
        context,
        wait(),
        asio::bind_cancellation_slot(
            give_up.slot(), [&](const std::exception_ptr& failure) { aborted = failure != nullptr; }
        )
    );
    for (int i = 0; i < 20; ++i) context.poll_one();
    give_up.emit(asio::cancellation_type::terminal);
    for (int i = 0; i < 20; ++i) context.poll_one();
    EXPECT_TRUE(aborted);
    EXPECT_FALSE(ended);
    group.cancel();
    context.run();
  }
}

}  // namespace
}  // namespace tally
