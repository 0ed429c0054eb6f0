// SHA-256 and the texts that carry bytes. Thread-safe: no shared state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tally {

using Bytes = std::vector<std::uint8_t>;
using Digest = std::array<std::uint8_t, 32>;

inline std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Incremental SHA-256; the context is fetched once and reused after `finish`.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::span<const std::uint8_t> bytes);
  void update(std::string_view text) { update(as_bytes(text)); }
  Digest finish();  // and starts anew

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest sha256(std::span<const std::uint8_t> bytes);
inline Digest sha256(std::string_view text) {
  return sha256(as_bytes(text));
}

// HMAC (RFC 2104) with SHA-256.
Digest hmac_sha256(std::span<const std::uint8_t> key, std::span<const std::uint8_t> message);

std::string to_hex(std::span<const std::uint8_t> bytes);  // lower case
std::optional<Bytes> from_hex(std::string_view text);
std::string to_base64(std::span<const std::uint8_t> bytes);     // standard alphabet, padded
std::string to_base64url(std::span<const std::uint8_t> bytes);  // no padding
std::optional<Bytes> from_base64(std::string_view text);        // strict: padded, canonical
std::optional<Bytes> from_base64url(std::string_view text);     // strict: no padding, canonical

// "sha256:<hex>", the form in which a digest stands in records and receipts.
std::string digest_text(const Digest& digest);
// Only the one spelling that digest_text writes.
std::optional<Digest> parse_digest_text(std::string_view text);

// CRC-32C (Castagnoli), as the frames of the log use it.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t seed = 0);

// Compares in a time that depends on the lengths only.
bool equal_secret(std::string_view a, std::string_view b);

}  // namespace tally
