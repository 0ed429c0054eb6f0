// OpenSSL gives the state of a hash only through its older functions, which are deprecated and
// nowhere else used here.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "keyed_hash.hpp"

#include <algorithm>

#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace tally::custody {

namespace {

constexpr std::size_t block_bytes = 64;
constexpr std::size_t words = 8;
using Half = std::span<std::uint8_t, words * 4>;

void keep(const SHA256_CTX& context, Half out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<std::uint8_t>(context.h[i / 4] >> (24 - i % 4 * 8));
  }
}

// As after one whole block.
SHA256_CTX resumed(std::span<const std::uint8_t, words * 4> from) {
  SHA256_CTX context;
  SHA256_Init(&context);
  std::fill_n(context.h, words, 0U);
  for (std::size_t i = 0; i < from.size(); ++i) {
    context.h[i / 4] |= static_cast<SHA_LONG>(from[i]) << (24 - i % 4 * 8);
  }
  context.Nl = block_bytes * 8;
  return context;
}

void take(SHA256_CTX& context, std::span<const std::uint8_t> bytes) {
  SHA256_Update(&context, bytes.data(), bytes.size());
}

}  // namespace

KeyedHash::KeyedHash(std::span<const std::uint8_t> key) {
  const auto pass = [&key](std::uint8_t pad, Half out) {
    std::array<std::uint8_t, block_bytes> block{};
    std::copy(key.begin(), key.end(), block.begin());
    for (auto& byte : block) byte ^= pad;
    SHA256_CTX context;
    SHA256_Init(&context);
    take(context, block);
    keep(context, out);
    OPENSSL_cleanse(block.data(), block.size());
    OPENSSL_cleanse(&context, sizeof context);
  };
  pass(0x36, std::span(state_).first<words * 4>());
  pass(0x5c, std::span(state_).last<words * 4>());
}

KeyedHash::~KeyedHash() {
  OPENSSL_cleanse(state_.data(), state_.size());
}

Digest KeyedHash::of(std::span<const std::uint8_t> message) const {
  const std::span<const std::uint8_t, block_bytes> state(state_);
  Digest digest{};
  auto inner = resumed(state.first<words * 4>());
  take(inner, message);
  SHA256_Final(digest.data(), &inner);
  auto outer = resumed(state.last<words * 4>());
  take(outer, digest);
  SHA256_Final(digest.data(), &outer);
  return digest;
}

}  // namespace tally::custody
