// The time of this machine, for what the command line makes while no connector runs.
#pragma once

#include <chrono>

#include "tally/core/clock.hpp"

namespace tally::cli {

class WallClock final : public Clock {
 public:
  ClockReading read() override {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
    ClockReading reading;
    reading.at = Instant{} + Nanos{nanos};
    return reading;
  }
};

}  // namespace tally::cli
