#include "net/turns.hpp"

#include <list>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

namespace tally::net {
namespace {

namespace asio = boost::asio;

struct TurnsTest : testing::Test {
  // Takes a turn, says its number, and holds the turn until `release` of it.
  awaitable<void> hold(int number, std::string place) {
    auto taking = turns.take(std::move(place));
    auto turn = co_await std::move(taking);
    if (!turn) co_return;
    took.push_back(number);
    held.emplace_back(number, std::move(*turn));
  }
  void ask(int number, const std::string& place, asio::cancellation_signal* cancel = nullptr) {
    auto work = hold(number, place);
    if (cancel) {
      asio::co_spawn(
          context, std::move(work), asio::bind_cancellation_slot(cancel->slot(), asio::detached)
      );
    } else {
      asio::co_spawn(context, std::move(work), asio::detached);
    }
    settle();
  }
  void release(int number) {
    held.remove_if([&](const auto& one) { return one.first == number; });
    settle();
  }
  void settle() {
    context.restart();
    context.poll();
  }

  asio::io_context context{1};
  Turns turns{2};
  std::vector<int> took;
  std::list<std::pair<int, Turns::Turn>> held;
};

TEST_F(TurnsTest, SoManyAtOnceAndTheOthersInTheirOrder) {
  for (int number = 1; number <= 5; ++number) ask(number, "here");
  EXPECT_EQ(took, (std::vector<int>{1, 2}));
  release(2);
  EXPECT_EQ(took, (std::vector<int>{1, 2, 3}));
  release(1);
  release(3);
  EXPECT_EQ(took, (std::vector<int>{1, 2, 3, 4, 5}));
}

TEST_F(TurnsTest, EachPlaceHasItsOwn) {
  for (int number = 1; number <= 3; ++number) ask(number, "here");
  ask(4, "there");
  EXPECT_EQ(took, (std::vector<int>{1, 2, 4}));
}

TEST_F(TurnsTest, WhoGaveUpWaitingIsPassedOver) {
  asio::cancellation_signal cancel;
  ask(1, "here");
  ask(2, "here");
  ask(3, "here", &cancel);
  ask(4, "here");
  cancel.emit(asio::cancellation_type::terminal);
  settle();
  release(1);
  EXPECT_EQ(took, (std::vector<int>{1, 2, 4}));
  release(2);
  release(4);
  ask(5, "here");
  ask(6, "here");
  EXPECT_EQ(took, (std::vector<int>{1, 2, 4, 5, 6}));
}

// Given a turn and cancelled before it could take it: the turn is not lost.
TEST_F(TurnsTest, ATurnThatNobodyTakesGoesOn) {
  asio::cancellation_signal cancel;
  ask(1, "here");
  ask(2, "here");
  ask(3, "here", &cancel);
  ask(4, "here");
  held.remove_if([](const auto& one) { return one.first == 1; });
  cancel.emit(asio::cancellation_type::terminal);
  settle();
  release(2);
  release(3);
  EXPECT_EQ(took.back(), 4);
}

}  // namespace
}  // namespace tally::net
