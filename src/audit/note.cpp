#include "tally/audit/note.hpp"

#include <algorithm>
#include <memory>

#include <openssl/evp.h>

namespace tally::audit {
namespace {

constexpr std::string_view dash = "\xE2\x80\x94 ";  // U+2014 and a space
constexpr std::uint8_t ed25519_type = 0x01;
constexpr std::size_t key_bytes = 32;
constexpr std::size_t signature_bytes = 64;
constexpr std::size_t most_note_bytes = 1 << 20;
constexpr std::size_t most_signatures = 64;

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

std::uint32_t key_id(std::string_view name, std::span<const std::uint8_t> typed_key) {
  Sha256 hash;
  hash.update(name);
  hash.update("\n");
  hash.update(typed_key);
  const Digest digest = hash.finish();
  std::uint32_t id = 0;
  for (std::size_t i = 0; i < 4; ++i) id = id << 8 | digest[i];
  return id;
}

Bytes id_bytes(std::uint32_t id) {
  Bytes bytes;
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<std::uint8_t>(id >> shift));
  return bytes;
}

Bytes typed(const VerifierKey& key) {
  Bytes bytes{key.type};
  bytes.insert(bytes.end(), key.public_key.begin(), key.public_key.end());
  return bytes;
}

// Not empty, no space of any kind, no '+'. Beyond ASCII, the white space of Unicode.
bool is_name(std::string_view name) {
  if (name.empty() || name.find('+') != std::string_view::npos) return false;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7F) return false;
  }
  static constexpr std::string_view spaces[] = {
      "\xC2\x85",
      "\xC2\xA0",
      "\xE1\x9A\x80",
      "\xE2\x80\x80",
      "\xE2\x80\x81",
      "\xE2\x80\x82",
      "\xE2\x80\x83",
      "\xE2\x80\x84",
      "\xE2\x80\x85",
      "\xE2\x80\x86",
      "\xE2\x80\x87",
      "\xE2\x80\x88",
      "\xE2\x80\x89",
      "\xE2\x80\x8A",
      "\xE2\x80\xA8",
      "\xE2\x80\xA9",
      "\xE2\x80\xAF",
      "\xE2\x81\x9F",
      "\xE3\x80\x80"};
  return std::none_of(std::begin(spaces), std::end(spaces), [name](std::string_view space) {
    return name.find(space) != std::string_view::npos;
  });
}

// UTF-8 is left to the reader of the text; control characters would let two texts look alike.
bool is_note_text(std::string_view text) {
  return !text.empty() && text.back() == '\n' && std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n') || byte == 0x7F;
  });
}

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"audit.note-malformed", {}});
}

}  // namespace

std::string VerifierKey::text() const {
  return name + "+" + to_hex(id_bytes(id)) + "+" + to_base64(typed(*this));
}

VerifierKey make_verifier_key(std::string_view name, std::span<const std::uint8_t> public_key) {
  VerifierKey key;
  key.name = name;
  key.type = ed25519_type;
  key.public_key.assign(public_key.begin(), public_key.end());
  key.id = key_id(name, typed(key));
  return key;
}

Result<VerifierKey> parse_verifier_key(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorKind::invalid, {"audit.vkey-malformed", {{"vkey", std::string(text)}}});
  };
  const std::size_t first = text.find('+');
  if (first == std::string_view::npos) return bad();
  const std::size_t second = text.find('+', first + 1);  // base64 may hold more of them
  if (second == std::string_view::npos) return bad();
  const std::string_view name = text.substr(0, first);
  const auto key = from_base64(text.substr(second + 1));
  if (!is_name(name) || !key || key->size() != key_bytes + 1 || key->front() != ed25519_type) {
    return bad();
  }
  VerifierKey parsed = make_verifier_key(name, std::span(*key).subspan(1));
  if (parsed.text() != text) return bad();  // the id too
  return parsed;
}

Result<std::string> sign_note(std::string_view text, const VerifierKey& key, const Signer& signer) {
  if (!is_note_text(text) || !is_name(key.name)) return malformed();
  auto signature = signer(as_bytes(text));
  if (!signature) return fail(std::move(signature));
  Bytes blob = id_bytes(key.id);
  blob.insert(blob.end(), signature->begin(), signature->end());
  return std::string(text) + "\n" + std::string(dash) + key.name + " " + to_base64(blob) + "\n";
}

Result<VerifiedNote> verify_note(std::string_view note, std::span<const VerifierKey> known) {
  if (note.size() > most_note_bytes || !is_note_text(note)) return malformed();
  // The last empty line parts the text from the signatures.
  const std::size_t split = note.rfind("\n\n");
  if (split == std::string_view::npos) return malformed();
  const std::string_view text = note.substr(0, split + 1);
  std::string_view lines = note.substr(split + 2);
  if (lines.empty()) return malformed();

  VerifiedNote verified;
  verified.text = text;
  for (std::size_t count = 0; !lines.empty(); ++count) {
    if (count == most_signatures) return malformed();
    const std::size_t end = lines.find('\n');
    std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end + 1);
    if (!line.starts_with(dash)) return malformed();
    line.remove_prefix(dash.size());
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return malformed();
    const std::string_view name = line.substr(0, space);
    const auto blob = from_base64(line.substr(space + 1));
    if (!is_name(name) || !blob || blob->size() < 5) return malformed();
    for (const VerifierKey& key : known) {
      const Bytes id = id_bytes(key.id);
      if (key.name != name || !std::equal(id.begin(), id.end(), blob->begin())) continue;
      if (!ed25519_verify(key.public_key, as_bytes(text), std::span(*blob).subspan(4))) {
        return fail(ErrorKind::invalid, {"audit.note-forged", {{"name", std::string(name)}}});
      }
      if (std::find(verified.signers.begin(), verified.signers.end(), name) ==
          verified.signers.end()) {
        verified.signers.emplace_back(name);
      }
    }
  }
  if (verified.signers.empty()) return fail(ErrorKind::invalid, {"audit.note-unsigned", {}});
  return verified;
}

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
