// AES-256-GCM over OpenSSL, and the layout of the two files of an artefact
// (docs/custody-format.md). Pure: bytes in, bytes out.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "tally/core/digest.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/result.hpp"
#include "tally/custody/key_source.hpp"

namespace tally::custody {

constexpr std::size_t chunk_bytes = 64 << 10;  // plain
constexpr std::size_t tag_bytes = 16;
constexpr std::size_t header_bytes = 16;

using Nonce = std::array<std::uint8_t, 12>;

// One key, many messages; not thread-safe.
class Aead {
 public:
  explicit Aead(const SecretKey& key);
  ~Aead();
  Aead(Aead&&) noexcept;
  Aead& operator=(Aead&&) = delete;

  // `out` has plain.size() + tag_bytes.
  void seal(
      const Nonce& nonce,
      std::span<const std::uint8_t> aad,
      std::span<const std::uint8_t> plain,
      std::span<std::uint8_t> out
  );
  // `out` has sealed.size() − tag_bytes; it is wiped when the tag does not fit.
  [[nodiscard]] bool open(
      const Nonce& nonce,
      std::span<const std::uint8_t> aad,
      std::span<const std::uint8_t> sealed,
      std::span<std::uint8_t> out
  );

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// --- the key file ---

Bytes wrap_key(
    const SecretKey& key, const SecretKey& wrapping, const ArtefactId& id, const Nonce& nonce
);
// By its beginning: one that a destruction has overwritten is none.
bool is_wrapped_key(std::span<const std::uint8_t> file);
// Errors: internal (custody.damaged), invalid (custody.wrong-key).
Result<SecretKey> unwrap_key(
    std::span<const std::uint8_t> file, const SecretKey& wrapping, const ArtefactId& id
);

// --- the blob ---

std::array<std::uint8_t, header_bytes> blob_header();
bool is_blob_header(std::span<const std::uint8_t> bytes);
constexpr std::uint64_t chunk_offset(std::uint64_t index) {
  return header_bytes + index * (chunk_bytes + tag_bytes);
}
Nonce chunk_nonce(std::uint64_t index);
Bytes chunk_aad(const ArtefactId& id, std::uint64_t index, bool last);

// How a blob of `size` bytes is cut; nullopt when no artefact has that size.
struct BlobShape {
  std::uint64_t chunks = 0;  // at least one
  std::uint64_t plain = 0;
  [[nodiscard]] std::size_t plain_of(std::uint64_t index) const;
};
std::optional<BlobShape> blob_shape(std::uint64_t size);

}  // namespace tally::custody
