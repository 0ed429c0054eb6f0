// The randomness of the operating system, for what the command line makes.
#pragma once

#include <cstdlib>

#include <openssl/rand.h>

#include "tally/core/clock.hpp"

namespace tally::cli {

class SystemRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    // Without randomness there is no secret to make.
    if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) std::abort();
  }
};

}  // namespace tally::cli
