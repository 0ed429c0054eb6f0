// HMAC-SHA-256 (RFC 2104) of which the key is not kept: what is left of it are the two states of
// SHA-256 behind the padded key, which give every HMAC under that key and not the key.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "tally/core/digest.hpp"

namespace tally::custody {

class KeyedHash {
 public:
  // Inner and outer state, eight big-endian words of 32 bits each: as secret as the key.
  using State = std::array<std::uint8_t, 64>;

  // Precondition: at most 64 bytes.
  explicit KeyedHash(std::span<const std::uint8_t> key);
  explicit KeyedHash(const State& state) : state_(state) {}
  ~KeyedHash();
  KeyedHash(const KeyedHash&) = default;
  KeyedHash& operator=(const KeyedHash&) = default;

  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] Digest of(std::span<const std::uint8_t> message) const;

 private:
  State state_{};
};

}  // namespace tally::custody
