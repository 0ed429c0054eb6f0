#include "tally/core/digest.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "crc32c.hpp"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace tally {
namespace {

// Fetched once: EVP_sha256() would look the algorithm up again at every initialisation.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

void require(bool ok) {
  if (!ok) throw std::runtime_error("libcrypto: SHA-256 is not available");
}

}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() { start(); }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  void start() const {
    require(context != nullptr && sha256_algorithm() != nullptr);
    require(EVP_DigestInit_ex2(context, sha256_algorithm(), nullptr) == 1);
  }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::uint8_t> bytes) {
  require(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

Digest Sha256::finish() {
  Digest digest{};
  unsigned length = 0;
  require(EVP_DigestFinal_ex(state_->context, digest.data(), &length) == 1);
  require(length == digest.size());
  state_->start();
  return digest;
}

Digest sha256(std::span<const std::uint8_t> bytes) {
  thread_local Sha256 context;
  context.update(bytes);
  return context.finish();
}

Digest hmac_sha256(std::span<const std::uint8_t> key, std::span<const std::uint8_t> message) {
  std::array<std::uint8_t, 64> block{};  // of SHA-256
  Digest hashed = key.size() > block.size() ? sha256(key) : Digest{};
  if (key.size() > block.size()) key = hashed;
  std::copy(key.begin(), key.end(), block.begin());
  thread_local Sha256 context;
  const auto pass = [&](std::uint8_t pad, std::span<const std::uint8_t> text) {
    for (auto& byte : block) byte ^= pad;
    context.update(block);
    for (auto& byte : block) byte ^= pad;
    context.update(text);
    return context.finish();
  };
  const Digest inner = pass(0x36, message);
  const Digest outer = pass(0x5c, inner);
  OPENSSL_cleanse(block.data(), block.size());
  OPENSSL_cleanse(hashed.data(), hashed.size());
  return outer;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text(bytes.size() * 2, '0');
  char* out = text.data();
  for (const std::uint8_t byte : bytes) {
    *out++ = digits[byte >> 4];
    *out++ = digits[byte & 15];
  }
  return text;
}

std::optional<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  const auto nibble = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = nibble(text[i]);
    const int low = nibble(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return bytes;
}

namespace {

constexpr char standard_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string encode(std::span<const std::uint8_t> bytes, const char* alphabet, bool padded) {
  std::string text((bytes.size() + 2) / 3 * 4, '=');
  char* out = text.data();
  std::size_t at = 0;
  // Whole groups by themselves: answers carry a kilobyte of it.
  for (; at + 3 <= bytes.size(); at += 3) {
    const std::uint32_t group = std::uint32_t{bytes[at]} << 16 | std::uint32_t{bytes[at + 1]} << 8 |
                                std::uint32_t{bytes[at + 2]};
    *out++ = alphabet[group >> 18];
    *out++ = alphabet[(group >> 12) & 63];
    *out++ = alphabet[(group >> 6) & 63];
    *out++ = alphabet[group & 63];
  }
  if (const std::size_t left = bytes.size() - at; left > 0) {
    std::uint32_t group = std::uint32_t{bytes[at]} << 16;
    if (left == 2) group |= std::uint32_t{bytes[at + 1]} << 8;
    *out++ = alphabet[group >> 18];
    *out++ = alphabet[(group >> 12) & 63];
    if (left == 2) *out++ = alphabet[(group >> 6) & 63];
    if (!padded) text.resize(static_cast<std::size_t>(out - text.data()));
  }
  return text;
}

std::optional<Bytes> decode(std::string_view text, const char* alphabet, bool padded) {
  if (padded) {
    if (text.size() % 4 != 0) return std::nullopt;
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  Bytes bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t group = 0;
  int bits = 0;
  for (const char c : text) {
    const char* const found = c == '\0' ? nullptr : std::strchr(alphabet, c);
    if (found == nullptr) return std::nullopt;
    group = (group << 6 | static_cast<std::uint32_t>(found - alphabet)) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<std::uint8_t>(group >> bits));
    }
  }
  // Left-over bits must be zero, or two texts would name the same bytes.
  if ((group & ((1U << bits) - 1)) != 0) return std::nullopt;
  return bytes;
}

}  // namespace

std::string to_base64(std::span<const std::uint8_t> bytes) {
  return encode(bytes, standard_alphabet, true);
}
std::string to_base64url(std::span<const std::uint8_t> bytes) {
  return encode(bytes, url_alphabet, false);
}
std::optional<Bytes> from_base64(std::string_view text) {
  return decode(text, standard_alphabet, true);
}
std::optional<Bytes> from_base64url(std::string_view text) {
  return decode(text, url_alphabet, false);
}

std::string digest_text(const Digest& digest) {
  return "sha256:" + to_hex(digest);
}

std::optional<Digest> parse_digest_text(std::string_view text) {
  constexpr std::string_view prefix = "sha256:";
  Digest digest;
  if (text.size() != prefix.size() + 2 * digest.size() || !text.starts_with(prefix)) return {};
  const auto bytes = from_hex(text.substr(prefix.size()));
  if (!bytes) return {};
  std::copy(bytes->begin(), bytes->end(), digest.begin());
  if (digest_text(digest) != text) return {};  // capitals
  return digest;
}

namespace {

using CrcTable = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr CrcTable make_crc_table() {
  CrcTable table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    table[0][i] = crc;
  }
  for (std::uint32_t i = 0; i < 256; ++i) {
    for (std::size_t k = 1; k < 8; ++k) {
      table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
    }
  }
  return table;
}

constexpr CrcTable crc_table = make_crc_table();

std::uint32_t crc_by_table(const std::uint8_t* at, std::size_t size, std::uint32_t crc) {
  for (; size >= 8; at += 8, size -= 8) {
    const std::uint32_t low = crc ^ (std::uint32_t{at[0]} | std::uint32_t{at[1]} << 8 |
                                     std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24);
    crc = crc_table[7][low & 0xff] ^ crc_table[6][(low >> 8) & 0xff] ^
          crc_table[5][(low >> 16) & 0xff] ^ crc_table[4][low >> 24] ^ crc_table[3][at[4]] ^
          crc_table[2][at[5]] ^ crc_table[1][at[6]] ^ crc_table[0][at[7]];
  }
  for (; size > 0; ++at, --size) crc = (crc >> 8) ^ crc_table[0][(crc ^ *at) & 0xff];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(
    const std::uint8_t* at, std::size_t size, std::uint32_t crc
) {
  std::uint64_t wide = crc;
  for (; size >= 8; at += 8, size -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (; size > 0; ++at, --size) crc = _mm_crc32_u8(crc, *at);
  return crc;
}
#endif

}  // namespace

std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t seed) {
#if defined(__x86_64__)
  static const bool in_hardware = __builtin_cpu_supports("sse4.2") != 0;
  if (in_hardware) return ~crc32c_sse42(bytes.data(), bytes.size(), ~seed);
#endif
  return crc32c_portable(bytes, seed);
}

std::uint32_t crc32c_portable(std::span<const std::uint8_t> bytes, std::uint32_t seed) {
  return ~crc_by_table(bytes.data(), bytes.size(), ~seed);
}

bool equal_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace tally
