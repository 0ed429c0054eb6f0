// How many exchanges with one place may be under way at once. Whoever comes when all turns are
// taken waits for one, first come, first served: what is sent to a peer all at once would otherwise
// open a connection for each, and the peer cuts off handshakes that are too many. One executor.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "tally/core/clock.hpp"

#include "stream.hpp"

namespace tally::net {

class Turns {
 public:
  explicit Turns(std::size_t most) : most_(most) {}
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  // Held for the time of an exchange; whoever destroys it lets the next one go.
  class Turn {
   public:
    Turn(Turns& turns, std::string place) : turns_(&turns), place_(std::move(place)) {}
    ~Turn() {
      if (turns_) turns_->give_back(place_);
    }
    Turn(Turn&& other) noexcept
        : turns_(std::exchange(other.turns_, nullptr)), place_(std::move(other.place_)) {}
    Turn& operator=(Turn&&) = delete;

   private:
    Turns* turns_;
    std::string place_;
  };

  // Nothing: the caller was cancelled while it waited. The turns must outlive what they gave.
  awaitable<std::optional<Turn>> take(std::string place) {
    Line& line = lines_[place];
    if (line.taken < most_) {
      ++line.taken;
      co_return std::optional<Turn>(std::in_place, *this, std::move(place));
    }
    const auto executor = co_await boost::asio::this_coro::executor;
    Waiter waiter(line, boost::asio::steady_timer(executor));
    co_await waiter.timer.async_wait(no_throw);
    // Also where it was cancelled after that: the turn goes on when its holder ends.
    if (waiter.given) co_return std::optional<Turn>(std::in_place, *this, std::move(place));
    co_return std::nullopt;
  }

 private:
  struct Waiter;
  struct Line {
    std::size_t taken = 0;
    std::list<Waiter*> waiting;
  };
  // In the frame of the coroutine that waits, and in the line until it is given a turn.
  struct Waiter {
    Waiter(Line& in, boost::asio::steady_timer its)
        : line(in), timer(std::move(its)), place(in.waiting.insert(in.waiting.end(), this)) {
      timer.expires_at(boost::asio::steady_timer::time_point::max());
    }
    ~Waiter() {
      if (!given) line.waiting.erase(place);
    }
    Line& line;
    boost::asio::steady_timer timer;
    std::list<Waiter*>::iterator place;
    bool given = false;
  };

  void give_back(const std::string& place) {
    const auto found = lines_.find(place);
    Line& line = found->second;
    if (line.waiting.empty()) {
      if (--line.taken == 0) lines_.erase(found);
      return;
    }
    Waiter& next = *line.waiting.front();
    line.waiting.pop_front();
    next.given = true;
    next.timer.cancel();
  }

  std::size_t most_;
  std::map<std::string, Line> lines_;
};

}  // namespace tally::net
