// One simulated machine: a context of its own, and the seams of core/clock.hpp over a World.
//
// A power cut is Node::power_off, never from inside a handler of this node: first its on_power_off
// actions (disks and stores go dead, so register SimDisk::cut_power there), then what waits is
// unwound. Then the services go, then the node; new ones are built over what was durable.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "tally/core/clock.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/wakeup.hpp"

#include "sim/world.hpp"

namespace tally::sim {

class Node;

// A coroutine of a node that waits. The node owns its frame: after power_off, waking is nothing.
class Waiting {
 public:
  Waiting() = default;
  void wake(boost::system::error_code result = {}) const;
  [[nodiscard]] bool pending() const;  // not woken yet by this object

 private:
  friend class Node;
  struct Room;
  std::weak_ptr<Room> room_;
  std::uint64_t number_ = 0;
};

class SimClock final : public Clock {
 public:
  explicit SimClock(World& world) : world_(world) {}
  ClockReading read() override { return {world_.now() + offset_, reliable_}; }
  void set_reliable(bool reliable) { reliable_ = reliable; }
  // The wall clock jumps; who sleeps until an instant looks again.
  void step(Nanos by);

 private:
  friend class SimTimers;
  World& world_;
  Nanos offset_ = 0;
  bool reliable_ = true;
  std::vector<Waiting> sleepers_;
  std::size_t prune_at_ = 256;
};

class SimTimers final : public Timers {
 public:
  explicit SimTimers(Node& node) : node_(node) {}
  awaitable<void> sleep_until(Instant at) override;
  awaitable<void> sleep_for(Nanos span) override;

 private:
  Node& node_;
};

// Runs a job as an event of its own, after a delay by the seed.
class SimWorker final : public Worker {
 public:
  explicit SimWorker(Node& node) : node_(node) {}
  awaitable<void> run(std::function<void()> job) override;
  Nanos least = 10'000;
  Nanos most = milliseconds(2);

 private:
  Node& node_;
};

class SimRandom final : public Random {
 public:
  explicit SimRandom(std::uint64_t seed) : chance_(seed) {}
  void fill(std::span<std::uint8_t> out) override;

 private:
  Chance chance_;
};

class SimNotices final : public Notices {
 public:
  void note(Severity severity, const Message& message) override;
  [[nodiscard]] const std::vector<std::pair<Severity, Message>>& all() const { return notes_; }
  [[nodiscard]] std::size_t count(std::string_view code) const;
  [[nodiscard]] std::string print() const;  // one rendered line each

 private:
  std::vector<std::pair<Severity, Message>> notes_;
};

class Node {
 public:
  Node(World& world, std::string name);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  World& world() { return world_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  boost::asio::io_context& context() { return context_; }
  boost::asio::any_io_executor executor() { return context_.get_executor(); }
  SimClock& clock() { return clock_; }
  SimTimers& timers() { return timers_; }
  SimWorker& worker() { return worker_; }
  SimRandom& random() { return random_; }
  SimNotices& notices() { return notices_; }

  [[nodiscard]] bool is_on() const { return on_; }
  void power_off();
  // Called by power_off, in order, before anything is unwound.
  void on_power_off(std::function<void()> action) { at_power_off_.push_back(std::move(action)); }

  // Suspends the calling coroutine, which runs on this node, until its Waiting is woken.
  awaitable<void> wait(std::function<void(Waiting)> started);
  // The same, deaf to cancellation.
  awaitable<void> wait_to_the_end(std::function<void(Waiting)> started);

 private:
  std::function<void(std::shared_ptr<Wakeup>)> into_room(std::function<void(Waiting)> started);

  World& world_;
  std::string name_;
  bool on_ = true;
  boost::asio::io_context context_{1};
  std::shared_ptr<Waiting::Room> room_;
  SimClock clock_;
  SimTimers timers_;
  SimWorker worker_;
  SimRandom random_;
  SimNotices notices_;
  std::vector<std::function<void()>> at_power_off_;
};

// Runs `task` on the node and the world until it ended. Throws what it threw, and when the world
// came to rest before that.
template <class T>
T await(Node& node, awaitable<T> task) {
  std::exception_ptr failure;
  bool ended = false;
  if constexpr (std::is_void_v<T>) {
    auto done = [&](std::exception_ptr thrown) {
      failure = std::move(thrown);
      ended = true;
    };
    boost::asio::co_spawn(node.executor(), std::move(task), done);
    const bool in_time = node.world().run_until([&] { return ended; });
    if (!in_time) throw std::runtime_error("a task never ended: " + node.world().where());
    if (failure) std::rethrow_exception(failure);
  } else {
    std::optional<T> value;
    auto wrapped = [](awaitable<T> inner, std::optional<T>* out) -> awaitable<void> {
      out->emplace(co_await std::move(inner));
    };
    await<void>(node, wrapped(std::move(task), &value));
    return *std::move(value);
  }
}

}  // namespace tally::sim
