// Secrets wrapped under the wrapping key, and the layout of the two files of an artefact
// (docs/custody-format.md). Pure: bytes in, bytes out.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tally/core/aead.hpp"
#include "tally/core/digest.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/result.hpp"
#include "tally/custody/key_source.hpp"

namespace tally::custody {

constexpr std::size_t chunk_bytes = 64 << 10;  // plain
constexpr std::size_t tag_bytes = aead_tag_bytes;
constexpr std::size_t header_bytes = 16;

using Nonce = AeadNonce;

// --- files that hold a secret, wrapped ---

// What such a file begins with (8 bytes), and how long its secret is.
struct WrappedKind {
  std::string_view magic;
  std::size_t secret_bytes = 0;
};
// The key of an artefact.
inline constexpr WrappedKind artefact_key{"TALLYCK1", 32};

// Precondition: `secret` has the length of its kind.
Bytes wrap(
    const WrappedKind& kind,
    std::span<const std::uint8_t> secret,
    const SecretKey& wrapping,
    const ArtefactId& id,
    const Nonce& nonce
);
// By its beginning: one that a destruction has overwritten is none.
bool is_wrapped(const WrappedKind& kind, std::span<const std::uint8_t> file);
// The name of the key under which it lies; nullopt: it is none of this kind.
std::optional<KeyName> wrapped_under(const WrappedKind& kind, std::span<const std::uint8_t> file);
// Fills `secret`, which has the length of its kind. Errors: internal (custody.damaged), invalid
// (custody.wrong-key).
Result<void> unwrap(
    const WrappedKind& kind,
    std::span<const std::uint8_t> file,
    const SecretKey& wrapping,
    const ArtefactId& id,
    std::span<std::uint8_t> secret
);

// With the key of `keys` under which it lies. Errors: those of KeySource too.
Result<void> unwrap(
    const WrappedKind& kind,
    std::span<const std::uint8_t> file,
    KeySource& keys,
    const ArtefactId& id,
    std::span<std::uint8_t> secret
);

// The same of an artefact's key.
Bytes wrap_key(
    const SecretKey& key, const SecretKey& wrapping, const ArtefactId& id, const Nonce& nonce
);
bool is_wrapped_key(std::span<const std::uint8_t> file);
Result<SecretKey> unwrap_key(
    std::span<const std::uint8_t> file, KeySource& keys, const ArtefactId& id
);
Result<SecretKey> unwrap_key(
    std::span<const std::uint8_t> file, const SecretKey& wrapping, const ArtefactId& id
);

// --- the blob ---

std::array<std::uint8_t, header_bytes> blob_header();
bool is_blob_header(std::span<const std::uint8_t> bytes);
constexpr std::uint64_t chunk_offset(std::uint64_t index) {
  return header_bytes + index * (chunk_bytes + tag_bytes);
}
Bytes chunk_aad(const ArtefactId& id, std::uint64_t index, bool last);

// How a blob of `size` bytes is cut; nullopt when no artefact has that size.
struct BlobShape {
  std::uint64_t chunks = 0;  // at least one
  std::uint64_t plain = 0;
  [[nodiscard]] std::size_t plain_of(std::uint64_t index) const;
};
std::optional<BlobShape> blob_shape(std::uint64_t size);

}  // namespace tally::custody
