#include "sealing.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace tally::custody {

namespace {

constexpr std::string_view blob_magic = "TALLYCU1";
constexpr std::string_view key_magic = "TALLYCK1";
constexpr std::size_t key_id_bytes = 16;
constexpr std::size_t key_file_bytes =
    key_magic.size() + key_id_bytes + sizeof(Nonce) + 32 + tag_bytes;

void append(Bytes& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}

template <class Integer>
void append_big_endian(Bytes& out, Integer value) {
  for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

// Names the wrapping key without telling it, so that the wrong one is called by its name.
Bytes key_id(const SecretKey& wrapping) {
  Sha256 sha;
  sha.update("tally-custody/wrapping-key/1");
  sha.update(std::span<const std::uint8_t>(wrapping.bytes));
  const Digest digest = sha.finish();
  return {digest.begin(), digest.begin() + key_id_bytes};
}

Bytes key_aad(const Bytes& id_of_wrapping, const ArtefactId& id) {
  Bytes aad;
  append(aad, key_magic);
  aad.insert(aad.end(), id_of_wrapping.begin(), id_of_wrapping.end());
  append(aad, id.value);
  return aad;
}

int as_int(std::size_t size) {
  return static_cast<int>(size);
}

// OpenSSL refuses these calls only when it is broken or out of memory; going on would be worse.
void must(int ok) {
  if (ok != 1) std::abort();
}

}  // namespace

struct Aead::State {
  EVP_CIPHER_CTX* sealing = EVP_CIPHER_CTX_new();
  EVP_CIPHER_CTX* opening = EVP_CIPHER_CTX_new();
  ~State() {
    EVP_CIPHER_CTX_free(sealing);
    EVP_CIPHER_CTX_free(opening);
  }
};

Aead::Aead(const SecretKey& key) : state_(std::make_unique<State>()) {
  const EVP_CIPHER* cipher = EVP_aes_256_gcm();
  must(EVP_EncryptInit_ex(state_->sealing, cipher, nullptr, key.bytes.data(), nullptr));
  must(EVP_DecryptInit_ex(state_->opening, cipher, nullptr, key.bytes.data(), nullptr));
}

Aead::~Aead() = default;
Aead::Aead(Aead&&) noexcept = default;

void Aead::seal(
    const Nonce& nonce,
    std::span<const std::uint8_t> aad,
    std::span<const std::uint8_t> plain,
    std::span<std::uint8_t> out
) {
  EVP_CIPHER_CTX* context = state_->sealing;
  int n = 0;
  must(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()));
  must(EVP_EncryptUpdate(context, nullptr, &n, aad.data(), as_int(aad.size())));
  must(EVP_EncryptUpdate(context, out.data(), &n, plain.data(), as_int(plain.size())));
  must(EVP_EncryptFinal_ex(context, out.data() + plain.size(), &n));
  must(EVP_CIPHER_CTX_ctrl(
      context, EVP_CTRL_GCM_GET_TAG, as_int(tag_bytes), out.data() + plain.size()
  ));
}

bool Aead::open(
    const Nonce& nonce,
    std::span<const std::uint8_t> aad,
    std::span<const std::uint8_t> sealed,
    std::span<std::uint8_t> out
) {
  if (sealed.size() < tag_bytes) return false;
  EVP_CIPHER_CTX* context = state_->opening;
  const auto cipher = sealed.first(sealed.size() - tag_bytes);
  std::array<std::uint8_t, tag_bytes> tag{};
  std::copy(sealed.end() - tag_bytes, sealed.end(), tag.begin());
  std::array<std::uint8_t, 16> rest{};
  int n = 0;
  must(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()));
  must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, as_int(tag_bytes), tag.data()));
  must(EVP_DecryptUpdate(context, nullptr, &n, aad.data(), as_int(aad.size())));
  must(EVP_DecryptUpdate(context, out.data(), &n, cipher.data(), as_int(cipher.size())));
  if (EVP_DecryptFinal_ex(context, rest.data(), &n) == 1) return true;
  OPENSSL_cleanse(out.data(), out.size());
  return false;
}

Bytes wrap_key(
    const SecretKey& key, const SecretKey& wrapping, const ArtefactId& id, const Nonce& nonce
) {
  const Bytes name = key_id(wrapping);
  Bytes file;
  file.reserve(key_file_bytes);
  append(file, key_magic);
  file.insert(file.end(), name.begin(), name.end());
  file.insert(file.end(), nonce.begin(), nonce.end());
  std::array<std::uint8_t, 32 + tag_bytes> sealed{};
  Aead(wrapping).seal(nonce, key_aad(name, id), key.bytes, sealed);
  file.insert(file.end(), sealed.begin(), sealed.end());
  return file;
}

bool is_wrapped_key(std::span<const std::uint8_t> file) {
  const auto magic = as_bytes(key_magic);
  return file.size() == key_file_bytes && std::equal(magic.begin(), magic.end(), file.begin());
}

Result<SecretKey> unwrap_key(
    std::span<const std::uint8_t> file, const SecretKey& wrapping, const ArtefactId& id
) {
  const auto damaged = [&] {
    return fail(ErrorKind::internal, {"custody.damaged", {{"artefact", id.value}, {"at", "key"}}});
  };
  if (!is_wrapped_key(file)) return damaged();
  const auto magic = as_bytes(key_magic);
  const Bytes name = key_id(wrapping);
  if (!std::ranges::equal(name, file.subspan(magic.size(), name.size()))) {
    return fail(ErrorKind::invalid, {"custody.wrong-key", {{"artefact", id.value}}});
  }
  const auto rest = file.subspan(magic.size() + name.size());
  Nonce nonce{};
  std::copy_n(rest.begin(), nonce.size(), nonce.begin());
  SecretKey key;
  Aead aead(wrapping);
  if (!aead.open(nonce, key_aad(name, id), rest.subspan(nonce.size()), key.bytes)) return damaged();
  return key;
}

std::array<std::uint8_t, header_bytes> blob_header() {
  Bytes header;
  append(header, blob_magic);
  append_big_endian(header, static_cast<std::uint32_t>(chunk_bytes));
  append_big_endian(header, std::uint32_t{0});
  std::array<std::uint8_t, header_bytes> out{};
  std::copy(header.begin(), header.end(), out.begin());
  return out;
}

bool is_blob_header(std::span<const std::uint8_t> bytes) {
  const auto wanted = blob_header();
  return std::equal(bytes.begin(), bytes.end(), wanted.begin(), wanted.end());
}

Nonce chunk_nonce(std::uint64_t index) {
  Nonce nonce{};
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[nonce.size() - 1 - i] = static_cast<std::uint8_t>(index >> (8 * i));
  }
  return nonce;
}

Bytes chunk_aad(const ArtefactId& id, std::uint64_t index, bool last) {
  Bytes aad;
  const auto header = blob_header();
  aad.insert(aad.end(), header.begin(), header.end());
  append_big_endian(aad, index);
  aad.push_back(last ? 1 : 0);
  append(aad, id.value);
  return aad;
}

std::size_t BlobShape::plain_of(std::uint64_t index) const {
  return static_cast<std::size_t>(std::min<std::uint64_t>(chunk_bytes, plain - index * chunk_bytes)
  );
}

std::optional<BlobShape> blob_shape(std::uint64_t size) {
  constexpr std::uint64_t sealed_chunk = chunk_bytes + tag_bytes;
  if (size < header_bytes + tag_bytes) return std::nullopt;
  const std::uint64_t body = size - header_bytes;
  const std::uint64_t chunks = (body + sealed_chunk - 1) / sealed_chunk;
  const std::uint64_t last = body - (chunks - 1) * sealed_chunk;
  // Only an artefact of no bytes has a last chunk of none.
  if (last < tag_bytes || (last == tag_bytes && chunks > 1)) return std::nullopt;
  return BlobShape{chunks, body - chunks * tag_bytes};
}

}  // namespace tally::custody
