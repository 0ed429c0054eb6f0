#include "tally/core/aead.hpp"

#include <algorithm>
#include <cstdlib>

#include <openssl/evp.h>

namespace tally {

namespace {

int as_int(std::size_t size) {
  return static_cast<int>(size);
}

// OpenSSL refuses these calls only when it is broken or out of memory; going on would be worse.
void must(int ok) {
  if (ok != 1) std::abort();
}

}  // namespace

AeadNonce numbered_nonce(std::uint64_t number) {
  AeadNonce nonce{};
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[nonce.size() - 1 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return nonce;
}

struct Aead::State {
  EVP_CIPHER_CTX* sealing = EVP_CIPHER_CTX_new();
  EVP_CIPHER_CTX* opening = EVP_CIPHER_CTX_new();
  ~State() {
    EVP_CIPHER_CTX_free(sealing);
    EVP_CIPHER_CTX_free(opening);
  }
};

Aead::Aead(std::span<const std::uint8_t> key) : state_(std::make_unique<State>()) {
  if (key.size() != 16 && key.size() != 32) std::abort();
  const EVP_CIPHER* cipher = key.size() == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
  must(EVP_EncryptInit_ex(state_->sealing, cipher, nullptr, key.data(), nullptr));
  must(EVP_DecryptInit_ex(state_->opening, cipher, nullptr, key.data(), nullptr));
}

Aead::~Aead() = default;
Aead::Aead(Aead&&) noexcept = default;

void Aead::seal(
    const AeadNonce& nonce,
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
      context, EVP_CTRL_GCM_GET_TAG, as_int(aead_tag_bytes), out.data() + plain.size()
  ));
}

bool Aead::open(
    const AeadNonce& nonce,
    std::span<const std::uint8_t> aad,
    std::span<const std::uint8_t> sealed,
    std::span<std::uint8_t> out
) {
  if (sealed.size() < aead_tag_bytes) return false;
  EVP_CIPHER_CTX* context = state_->opening;
  const auto cipher = sealed.first(sealed.size() - aead_tag_bytes);
  std::array<std::uint8_t, aead_tag_bytes> tag{};
  std::copy(sealed.end() - aead_tag_bytes, sealed.end(), tag.begin());
  std::array<std::uint8_t, 16> rest{};
  int n = 0;
  must(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()));
  must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, as_int(aead_tag_bytes), tag.data()));
  must(EVP_DecryptUpdate(context, nullptr, &n, aad.data(), as_int(aad.size())));
  must(EVP_DecryptUpdate(context, out.data(), &n, cipher.data(), as_int(cipher.size())));
  if (EVP_DecryptFinal_ex(context, rest.data(), &n) == 1) return true;
  wipe(out);
  return false;
}

}  // namespace tally
