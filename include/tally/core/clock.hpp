// The seam to the world: time, waiting, blocking work, randomness. Everything above the adapters
// reaches them through these interfaces only, so that a test can replay a whole connector from a
// seed (docs/architecture.md, "One seed that replays everything").
//
// Real implementations: src/daemon/. Simulated ones: tests/sim/.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"

namespace tally {

template <class T>
using awaitable = boost::asio::awaitable<T>;

// One reading of the wall clock, and whether it may be believed.
struct ClockReading {
  Instant at;
  // False after a step of more than five minutes against the boot-time clock, until time agrees
  // again or an operator confirms it. Temporal constraints are then unknown.
  bool reliable = true;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual ClockReading read() = 0;  // any thread
};

class Timers {
 public:
  virtual ~Timers() = default;
  // Completes at or after `at`, on the executor of the awaiting coroutine; honours its cancellation
  // slot. Already past: completes by a post, never inline.
  virtual awaitable<void> sleep_until(Instant at) = 0;
  // The same for a span from now, measured on the steady clock.
  virtual awaitable<void> sleep_for(Nanos span) = 0;
};

// Blocking work (a file read, a large digest) off the event loop.
class Worker {
 public:
  virtual ~Worker() = default;
  // Runs `job` elsewhere and completes on the executor of the awaiting coroutine when it returned.
  virtual awaitable<void> run(std::function<void()> job) = 0;
};

// Cryptographic randomness; the simulated one is a seeded generator. Any thread.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;
  std::uint64_t next();  // eight bytes of `fill`
};

// RFC 9562 UUIDs. v7 carries `at` in milliseconds and orders by it.
std::string uuid_v4(Random& random);
std::string uuid_v7(Random& random, Instant at);
EventId new_event(Random& random, Instant at);
Pid new_pid(Random& random);  // "urn:uuid:<v4>"

}  // namespace tally
