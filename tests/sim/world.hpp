// One thread that plays several connectors: virtual time, an ordered queue of events, and chance
// from one seed. The same seed gives the same run, handler by handler.
//
// The loop picks one of the contexts that have work, by the seed, and runs one handler of it; only
// when none has work does time move to the next event. Nothing here knows what a connector is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "tally/core/instant.hpp"

namespace tally::sim {

// SplitMix64: small, fast, the same on every machine.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : state_(seed) {}
  std::uint64_t draw();
  std::uint64_t below(std::uint64_t bound);  // 0 … bound − 1; bound > 0
  bool happens(double probability);          // draws nothing at 0 and 1
  Nanos span(Nanos least, Nanos most);       // both included

 private:
  std::uint64_t state_;
};

class World {
 public:
  static constexpr Instant default_start{1'767'225'600, 0};  // 2026-01-01T00:00:00Z

  explicit World(std::uint64_t seed, Instant start = default_start);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  // A digest of which context or event ran when; equal for equal runs.
  [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }
  // "seed 7, event 1234, at …": for the message of a failed expectation.
  [[nodiscard]] std::string where() const;
  Chance& chance() { return chance_; }

  // Runs `action` after `span`, in the order of (time, call). `owner` names whose it is.
  void after(Nanos span, const void* owner, std::function<void()> action);
  void at(Instant when, const void* owner, std::function<void()> action);
  // Drops what `owner` has scheduled, unrun.
  void forget(const void* owner);

  void attach(boost::asio::io_context& context);
  void detach(boost::asio::io_context& context);

  // One handler or one event; false when there is neither, or the next event is later than `end`.
  bool step();
  // Steps until `condition` holds. False when nothing is left to do, when `within` has passed, or
  // after ten million steps (a loop that never lets time move).
  bool run_until(const std::function<bool()>& condition, Nanos within = seconds(7L * 86'400));
  // Exactly this span of virtual time, whether there is work or not.
  void run_for(Nanos span);

 private:
  struct Context {
    boost::asio::io_context* context;
    std::uint64_t number;
    bool idle = false;  // polled since the last handler or event, and had nothing
  };
  struct Event {
    const void* owner;
    std::function<void()> action;
  };
  bool step_before(Instant end);
  bool poll_one_context();
  void look_again();  // the test itself may have posted
  void happened(std::uint64_t what);

  std::uint64_t seed_;
  Instant now_;
  Chance chance_;
  std::uint64_t steps_ = 0;
  std::uint64_t fingerprint_ = 14'695'981'039'346'656'037U;
  std::uint64_t next_event_ = 0;
  std::uint64_t next_context_ = 0;
  std::map<std::pair<Instant, std::uint64_t>, Event> events_;
  std::vector<Context> contexts_;
};

}  // namespace tally::sim
