// A payload that goes out encrypted, so that its key can be handed over after its receipt
// (docs/peer-api.md, "Keys"): chunks of 64 KiB, each AES-128-GCM with its tag behind it.
//
// The same key over the same bytes gives the same payload, so a cut download goes on where it
// ended. Any thread; one request at a time for each object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tally/core/aead.hpp"
#include "tally/core/digest.hpp"
#include "tally/dataplane/source.hpp"

namespace tally::dataplane {

inline constexpr std::size_t payload_chunk_bytes = 64 << 10;  // plain
inline constexpr std::size_t payload_key_bytes = 16;
using PayloadKey = std::span<const std::uint8_t, payload_key_bytes>;

// How a payload is cut. There is at least one chunk; only the last one may be shorter.
struct PayloadShape {
  std::uint64_t plain = 0;
  std::uint64_t chunks = 1;
  [[nodiscard]] std::uint64_t sealed() const { return plain + chunks * aead_tag_bytes; }
  [[nodiscard]] std::size_t plain_of(std::uint64_t chunk) const;
};
PayloadShape shape_of_plain(std::uint64_t plain);
// nullopt: no payload has that length.
std::optional<PayloadShape> shape_of_sealed(std::uint64_t sealed);

// One key of one transfer. `transfer` is the provider's pid: a chunk of another transfer, another
// place or another end does not open.
class PayloadCipher {
 public:
  PayloadCipher(PayloadKey key, std::string_view transfer);
  // `out` has plain.size() + aead_tag_bytes, or sealed.size() − aead_tag_bytes.
  void seal(
      std::uint64_t chunk,
      bool last,
      std::span<const std::uint8_t> plain,
      std::span<std::uint8_t> out
  );
  [[nodiscard]] bool open(
      std::uint64_t chunk,
      bool last,
      std::span<const std::uint8_t> sealed,
      std::span<std::uint8_t> out
  );

 private:
  Aead aead_;
  std::string transfer_;
};

// A source as it goes out under a key. The key belongs to exactly this version of the source: two
// versions under one key would tell each other.
class SealedSource final : public Source {
 public:
  // `identity` is what `source.identify()` has just said.
  SealedSource(
      std::unique_ptr<Source> source, SourceIdentity identity, PayloadKey key, std::string transfer
  );

  awaitable<Result<SourceIdentity>> identify() override;  // of the payload
  awaitable<Result<std::unique_ptr<BodyReader>>> open(
      std::uint64_t offset, std::optional<std::uint64_t> length
  ) override;

  [[nodiscard]] const SourceIdentity& identity() const { return sealed_identity_; }
  [[nodiscard]] const PayloadShape& shape() const { return shape_; }
  // What the payload opens to, "sha256:…", once readers of this object have read all of it in
  // order. Lives on after the object.
  struct Plain {
    Sha256 sha;
    std::uint64_t next_chunk = 0;
    std::string content;
  };
  [[nodiscard]] std::shared_ptr<const Plain> plain() const { return plain_; }

 private:
  std::unique_ptr<Source> source_;
  PayloadShape shape_;
  SourceIdentity sealed_identity_;
  std::shared_ptr<PayloadCipher> cipher_;
  std::shared_ptr<Plain> plain_;
};

}  // namespace tally::dataplane
