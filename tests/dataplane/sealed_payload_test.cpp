#include "tally/dataplane/sealed_payload.hpp"

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "support/run.hpp"

namespace tally::dataplane {
namespace {

constexpr std::size_t chunk = payload_chunk_bytes;

std::array<std::uint8_t, payload_key_bytes> key_of(std::uint8_t fill) {
  std::array<std::uint8_t, payload_key_bytes> key{};
  key.fill(fill);
  return key;
}

Bytes sample(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return bytes;
}

// Gives what it has in odd pieces, and may end early.
class Memory final : public Source {
 public:
  Memory(Bytes bytes, std::size_t really) : bytes_(std::move(bytes)), really_(really) {}
  awaitable<Result<SourceIdentity>> identify() override {
    co_return SourceIdentity{"v1", bytes_.size()};
  }
  awaitable<Result<std::unique_ptr<BodyReader>>> open(
      std::uint64_t offset, std::optional<std::uint64_t> length
  ) override {
    class Reader final : public BodyReader {
     public:
      explicit Reader(Bytes bytes) : bytes_(std::move(bytes)) {}
      awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
        const std::size_t n = std::min({out.size(), bytes_.size() - at_, std::size_t{4099}});
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), n, out.begin());
        at_ += n;
        co_return n;
      }

     private:
      Bytes bytes_;
      std::size_t at_ = 0;
    };
    const auto end = std::min<std::uint64_t>(offset + length.value_or(bytes_.size()), really_);
    const auto begin = std::min(offset, end);
    std::unique_ptr<BodyReader> body = std::make_unique<Reader>(Bytes(
        bytes_.begin() + static_cast<std::ptrdiff_t>(begin),
        bytes_.begin() + static_cast<std::ptrdiff_t>(end)
    ));
    co_return body;
  }

 private:
  Bytes bytes_;
  std::size_t really_;
};

SealedSource seal(
    const Bytes& plain, std::uint8_t key = 1, std::size_t really = static_cast<std::size_t>(-1)
) {
  return {std::make_unique<Memory>(plain, really), {"v1", plain.size()}, key_of(key), "urn:uuid:t"};
}

Result<Bytes> read(SealedSource& source, std::uint64_t from, std::optional<std::uint64_t> length) {
  auto body = testing::run(source.open(from, length));
  if (!body) return tl::unexpected(body.error());
  Bytes all;
  std::array<std::uint8_t, 1000> piece{};
  for (;;) {
    const auto n = testing::run((*body)->read(piece));
    if (!n) return tl::unexpected(n.error());
    if (*n == 0) return all;
    all.insert(all.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*n));
  }
}

std::optional<Bytes> open(
    const Bytes& sealed, std::uint8_t key = 1, std::string_view of = "urn:uuid:t"
) {
  const auto shape = shape_of_sealed(sealed.size());
  if (!shape) return std::nullopt;
  PayloadCipher cipher(key_of(key), of);
  Bytes plain(shape->plain);
  std::size_t at = 0;
  for (std::uint64_t i = 0; i < shape->chunks; ++i) {
    const std::size_t size = shape->plain_of(i);
    const auto in = std::span(sealed).subspan(at, size + aead_tag_bytes);
    const auto out = std::span(plain).subspan(i * chunk, size);
    if (!cipher.open(i, i + 1 == shape->chunks, in, out)) return std::nullopt;
    at += in.size();
  }
  return plain;
}

TEST(SealedPayload, HasOneShapeForEachLength) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, chunk - 1, chunk, chunk + 1, 3 * chunk}) {
    const auto shape = shape_of_plain(size);
    const auto back = shape_of_sealed(shape.sealed());
    ASSERT_TRUE(back) << size;
    EXPECT_EQ(back->plain, size);
    EXPECT_EQ(back->chunks, shape.chunks);
  }
  EXPECT_EQ(shape_of_plain(0).sealed(), 16U);
  EXPECT_EQ(shape_of_plain(chunk + 1).chunks, 2U);
  for (const std::uint64_t none :
       {std::uint64_t{0},
        std::uint64_t{15},
        std::uint64_t{chunk + 17},
        std::uint64_t{chunk + 32}}) {
    EXPECT_FALSE(shape_of_sealed(none)) << none;
  }
}

TEST(SealedPayload, OpensToWhatWasSealedAndKnowsItsDigest) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, chunk, 2 * chunk + 77}) {
    const Bytes plain = sample(size);
    auto source = seal(plain);
    const auto said = source.plain();
    const auto sealed = read(source, 0, std::nullopt);
    ASSERT_TRUE(sealed) << size;
    EXPECT_EQ(sealed->size(), source.identity().length);
    EXPECT_EQ(open(*sealed), plain);
    EXPECT_EQ(said->content, digest_text(sha256(plain)));
  }
}

TEST(SealedPayload, GoesOnFromAnyByteWithTheSameBytes) {
  const Bytes plain = sample(2 * chunk + 500);
  auto source = seal(plain);
  const auto whole = read(source, 0, std::nullopt);
  ASSERT_TRUE(whole);
  for (const std::size_t from :
       {std::size_t{1},
        chunk,
        chunk + 15,
        chunk + 16,
        chunk + 17,
        2 * chunk + 33,
        whole->size() - 1}) {
    auto resumed = seal(plain);
    // What lies before is read first, as whoever digests the whole does.
    const auto before = read(resumed, 0, from);
    const auto rest = read(resumed, from, whole->size() - from);
    ASSERT_TRUE(before && rest) << from;
    Bytes joined = *before;
    joined.insert(joined.end(), rest->begin(), rest->end());
    EXPECT_EQ(joined, *whole) << from;
    EXPECT_EQ(resumed.plain()->content, digest_text(sha256(plain))) << from;
  }
}

TEST(SealedPayload, DoesNotOpenWithAnythingElse) {
  const Bytes plain = sample(2 * chunk + 9);
  auto source = seal(plain);
  const Bytes sealed = read(source, 0, std::nullopt).value();
  EXPECT_FALSE(open(sealed, 2));                    // another key
  EXPECT_FALSE(open(sealed, 1, "urn:uuid:other"));  // another transfer
  for (const std::size_t at : {std::size_t{0}, chunk + 3, sealed.size() - 1}) {
    Bytes changed = sealed;
    changed[at] ^= 1;
    EXPECT_FALSE(open(changed)) << at;
  }
  // Cut at the border of a chunk, and two chunks that changed places.
  EXPECT_FALSE(open(Bytes(sealed.begin(), sealed.begin() + 2 * (chunk + 16))));
  Bytes swapped = sealed;
  std::swap_ranges(swapped.begin(), swapped.begin() + chunk + 16, swapped.begin() + chunk + 16);
  EXPECT_FALSE(open(swapped));
}

TEST(SealedPayload, ShowsNothingOfThePlainAndAnotherNameForAnotherKey) {
  Bytes plain(3000, 'a');
  auto one = seal(plain, 1);
  auto two = seal(plain, 2);
  const Bytes sealed = read(one, 0, std::nullopt).value();
  const Bytes canary(16, 'a');
  EXPECT_EQ(std::search(sealed.begin(), sealed.end(), canary.begin(), canary.end()), sealed.end());
  EXPECT_NE(one.identity().text, two.identity().text);
}

TEST(SealedPayload, ASourceThatEndsEarlyIsAnErrorAndNoPayload) {
  auto source = seal(sample(chunk + 100), 1, chunk + 50);
  const auto sealed = read(source, 0, std::nullopt);
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().message.code, "dataplane.short-source");
}

}  // namespace
}  // namespace tally::dataplane
