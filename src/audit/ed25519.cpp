#include <memory>

#include <openssl/evp.h>

#include "tally/audit/note.hpp"

namespace tally::audit {
namespace {

constexpr std::size_t key_bytes = 32;
constexpr std::size_t signature_bytes = 64;

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

}  // namespace

Result<Bytes> ed25519_sign(
    std::span<const std::uint8_t> private_key, std::span<const std::uint8_t> message
) {
  const auto bad = [] { return fail(ErrorKind::internal, {"audit.signing-failed", {}}); };
  const Key key(
      EVP_PKEY_new_raw_private_key(
          EVP_PKEY_ED25519, nullptr, private_key.data(), private_key.size()
      ),
      &EVP_PKEY_free
  );
  const Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  if (!key || !context ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1) {
    return bad();
  }
  Bytes signature(signature_bytes);
  std::size_t length = signature.size();
  if (EVP_DigestSign(context.get(), signature.data(), &length, message.data(), message.size()) !=
          1 ||
      length != signature_bytes) {
    return bad();
  }
  return signature;
}

bool ed25519_verify(
    std::span<const std::uint8_t> public_key,
    std::span<const std::uint8_t> message,
    std::span<const std::uint8_t> signature
) {
  if (public_key.size() != key_bytes || signature.size() != signature_bytes) return false;
  const Key key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data(), public_key.size()),
      &EVP_PKEY_free
  );
  const Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  return key && context &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(
             context.get(), signature.data(), signature.size(), message.data(), message.size()
         ) == 1;
}

Result<Bytes> ed25519_public_key(std::span<const std::uint8_t> private_key) {
  const Key key(
      EVP_PKEY_new_raw_private_key(
          EVP_PKEY_ED25519, nullptr, private_key.data(), private_key.size()
      ),
      &EVP_PKEY_free
  );
  Bytes bytes(key_bytes);
  std::size_t length = bytes.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), bytes.data(), &length) != 1 ||
      length != key_bytes) {
    return fail(ErrorKind::internal, {"audit.signing-failed", {}});
  }
  return bytes;
}

}  // namespace tally::audit
