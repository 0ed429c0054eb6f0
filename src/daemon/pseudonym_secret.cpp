#include "pseudonym_secret.hpp"

#include <algorithm>
#include <utility>

#include "tally/core/digest.hpp"

#include "keys.hpp"

namespace tally::daemon {

Result<PseudonymSecret> PseudonymSecret::read(const std::filesystem::path& file) {
  auto text = read_key_file(file);
  if (!text) return fail(std::move(text));
  std::string_view line = text->text();
  if (line.ends_with('\n')) line.remove_suffix(1);
  auto bytes = from_base64(line);
  custody::SecretKey key;
  if (!bytes || bytes->size() != key.bytes.size()) {
    return fail(ErrorKind::invalid, {"daemon.pseudonym-key-malformed", {{"file", file.string()}}});
  }
  std::copy(bytes->begin(), bytes->end(), key.bytes.begin());
  wipe(*bytes);
  PseudonymSecret out;
  out.key_ = std::make_shared<const custody::SecretKey>(key);
  return out;
}

Digest PseudonymSecret::call_secret(Random& random) const {
  custody::SecretKey key;
  if (key_) {
    key = *key_;
  } else {
    random.fill(key.bytes);
  }
  return hmac_sha256(key.bytes, as_bytes("tally-call-secret/1"));
}

std::unique_ptr<dataplane::PseudonymKeys> PseudonymSecret::keys_of(const AgreementId& agreement
) const {
  if (!key_) return nullptr;
  return std::make_unique<dataplane::PseudonymKeys>(key_->bytes, agreement.value);
}

}  // namespace tally::daemon
