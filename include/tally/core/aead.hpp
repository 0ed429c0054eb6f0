// AES-GCM under a key of 16 bytes (AES-128) or 32 (AES-256), for data that is sealed in numbered
// chunks. Pure: bytes in, bytes out. Not thread-safe; one object for each user of a key.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "tally/core/secret.hpp"

namespace tally {

constexpr std::size_t aead_tag_bytes = 16;
using AeadNonce = std::array<std::uint8_t, 12>;

// 32 bits of zero, then the number as 64 bits, big-endian: for a key that seals each number once.
AeadNonce numbered_nonce(std::uint64_t number);

// One key, many messages.
class Aead {
 public:
  // Precondition: 16 or 32 bytes.
  explicit Aead(std::span<const std::uint8_t> key);
  ~Aead();
  Aead(Aead&&) noexcept;
  Aead& operator=(Aead&&) = delete;

  // `out` has plain.size() + aead_tag_bytes.
  void seal(
      const AeadNonce& nonce,
      std::span<const std::uint8_t> aad,
      std::span<const std::uint8_t> plain,
      std::span<std::uint8_t> out
  );
  // `out` has sealed.size() − aead_tag_bytes; it is wiped when the tag does not fit.
  [[nodiscard]] bool open(
      const AeadNonce& nonce,
      std::span<const std::uint8_t> aad,
      std::span<const std::uint8_t> sealed,
      std::span<std::uint8_t> out
  );

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally
