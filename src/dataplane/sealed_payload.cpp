#include "tally/dataplane/sealed_payload.hpp"

#include <algorithm>
#include <utility>

namespace tally::dataplane {

namespace {

constexpr std::string_view magic = "TALLYPL1";

Bytes chunk_aad(std::string_view transfer, std::uint64_t chunk, bool last) {
  Bytes aad(magic.begin(), magic.end());
  for (int shift = 56; shift >= 0; shift -= 8) {
    aad.push_back(static_cast<std::uint8_t>(chunk >> shift));
  }
  aad.push_back(last ? 1 : 0);
  aad.insert(aad.end(), transfer.begin(), transfer.end());
  return aad;
}

// Reads whole chunks of the source and passes them on sealed, from some byte of the payload on.
class SealedReader final : public BodyReader {
 public:
  SealedReader(
      std::unique_ptr<BodyReader> inner,
      PayloadShape shape,
      std::shared_ptr<PayloadCipher> cipher,
      std::shared_ptr<SealedSource::Plain> plain,
      std::uint64_t offset,
      std::uint64_t length
  )
      : inner_(std::move(inner)),
        shape_(shape),
        cipher_(std::move(cipher)),
        plain_(std::move(plain)),
        chunk_(offset / (payload_chunk_bytes + aead_tag_bytes)),
        skip_(static_cast<std::size_t>(offset % (payload_chunk_bytes + aead_tag_bytes))),
        left_(length) {}
  ~SealedReader() override { wipe(buffer_); }

  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    if (left_ == 0 || out.empty()) co_return std::size_t{0};
    if (at_ == sealed_.size()) {
      auto filled = co_await next_chunk();
      if (!filled) co_return fail(std::move(filled));
    }
    const auto n =
        static_cast<std::size_t>(std::min<std::uint64_t>({out.size(), sealed_.size() - at_, left_})
        );
    std::copy_n(sealed_.begin() + static_cast<std::ptrdiff_t>(at_), n, out.begin());
    at_ += n;
    left_ -= n;
    co_return n;
  }

 private:
  awaitable<Result<void>> next_chunk() {
    const std::size_t size = shape_.plain_of(chunk_);
    buffer_.resize(size);
    for (std::size_t have = 0; have < size;) {
      auto got = co_await inner_->read(std::span(buffer_).subspan(have));
      if (!got) co_return tl::unexpected(got.error());
      if (*got == 0) {
        Message message{
            "dataplane.short-source",
            {{"bytes", std::to_string(chunk_ * payload_chunk_bytes + have)},
             {"expected", std::to_string(shape_.plain)}}};
        co_return fail(ErrorKind::unavailable, std::move(message));
      }
      have += *got;
    }
    const bool last = chunk_ + 1 == shape_.chunks;
    if (plain_->next_chunk == chunk_) {
      plain_->sha.update(buffer_);
      if (last) plain_->content = digest_text(plain_->sha.finish());
      ++plain_->next_chunk;
    }
    sealed_.resize(size + aead_tag_bytes);
    cipher_->seal(chunk_, last, buffer_, sealed_);
    at_ = std::exchange(skip_, 0);
    ++chunk_;
    co_return Result<void>();
  }

  std::unique_ptr<BodyReader> inner_;
  const PayloadShape shape_;
  std::shared_ptr<PayloadCipher> cipher_;
  std::shared_ptr<SealedSource::Plain> plain_;
  std::uint64_t chunk_;
  std::size_t skip_;
  std::uint64_t left_;
  Bytes buffer_;
  Bytes sealed_;
  std::size_t at_ = 0;
};

// Names the key without telling it: a payload under another key is another one.
std::string key_name(PayloadKey key) {
  Sha256 sha;
  sha.update("tally-payload/key-name/1");
  sha.update(key);
  return to_hex(sha.finish());
}

}  // namespace

std::size_t PayloadShape::plain_of(std::uint64_t chunk) const {
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(payload_chunk_bytes, plain - chunk * payload_chunk_bytes)
  );
}

PayloadShape shape_of_plain(std::uint64_t plain) {
  const std::uint64_t chunks = plain / payload_chunk_bytes + (plain % payload_chunk_bytes != 0);
  return {plain, std::max<std::uint64_t>(chunks, 1)};
}

std::optional<PayloadShape> shape_of_sealed(std::uint64_t sealed) {
  constexpr std::uint64_t whole = payload_chunk_bytes + aead_tag_bytes;
  const std::uint64_t chunks = sealed / whole + (sealed % whole != 0);
  if (sealed < aead_tag_bytes) return std::nullopt;
  const PayloadShape shape = shape_of_plain(sealed - chunks * aead_tag_bytes);
  // A last chunk of nothing but its tag is that of an empty payload.
  if (shape.chunks != chunks || shape.sealed() != sealed) return std::nullopt;
  return shape;
}

PayloadCipher::PayloadCipher(PayloadKey key, std::string_view transfer)
    : aead_(key), transfer_(transfer) {}

void PayloadCipher::seal(
    std::uint64_t chunk, bool last, std::span<const std::uint8_t> plain, std::span<std::uint8_t> out
) {
  aead_.seal(numbered_nonce(chunk), chunk_aad(transfer_, chunk, last), plain, out);
}

bool PayloadCipher::open(
    std::uint64_t chunk,
    bool last,
    std::span<const std::uint8_t> sealed,
    std::span<std::uint8_t> out
) {
  return aead_.open(numbered_nonce(chunk), chunk_aad(transfer_, chunk, last), sealed, out);
}

SealedSource::SealedSource(
    std::unique_ptr<Source> source, SourceIdentity identity, PayloadKey key, std::string transfer
)
    : source_(std::move(source)),
      shape_(shape_of_plain(identity.length)),
      sealed_identity_{"sealed " + key_name(key) + " " + identity.text, shape_.sealed()},
      cipher_(std::make_shared<PayloadCipher>(key, transfer)),
      plain_(std::make_shared<Plain>()) {}

awaitable<Result<SourceIdentity>> SealedSource::identify() {
  co_return sealed_identity_;
}

awaitable<Result<std::unique_ptr<BodyReader>>> SealedSource::open(
    std::uint64_t offset, std::optional<std::uint64_t> length
) {
  const std::uint64_t first = offset / (payload_chunk_bytes + aead_tag_bytes);
  const std::uint64_t from = std::min(first * payload_chunk_bytes, shape_.plain);
  auto inner = co_await source_->open(from, shape_.plain - from);
  if (!inner) co_return fail(std::move(inner));
  std::unique_ptr<BodyReader> body = std::make_unique<SealedReader>(
      std::move(*inner), shape_, cipher_, plain_, offset, length.value_or(shape_.sealed() - offset)
  );
  co_return body;
}

}  // namespace tally::dataplane
