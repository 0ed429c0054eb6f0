#include "tally/audit/note.hpp"

#include <algorithm>

#include "tally/core/json.hpp"

#include "text_form.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view dash = "\xE2\x80\x94 ";  // U+2014 and a space
constexpr std::size_t key_bytes = 32;
constexpr std::size_t id_size = 4;
constexpr std::size_t time_size = 8;
constexpr std::uint64_t most_time = (std::uint64_t{1} << 63) - 1;

Bytes big_endian(std::uint64_t number, std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = size; i > 0; --i, number >>= 8) {
    bytes[i - 1] = static_cast<std::uint8_t>(number);
  }
  return bytes;
}

std::uint64_t from_big_endian(std::span<const std::uint8_t> bytes) {
  std::uint64_t number = 0;
  for (const std::uint8_t byte : bytes) number = number << 8 | byte;
  return number;
}

// The first four bytes of a hash: a name for the key, too short to prove anything.
std::uint32_t key_id(std::string_view name, std::span<const std::uint8_t> typed_key) {
  Sha256 hash;
  hash.update(name);
  hash.update("\n");
  hash.update(typed_key);
  const Digest digest = hash.finish();
  return static_cast<std::uint32_t>(from_big_endian(std::span(digest).first(id_size)));
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

// Control characters would let two texts look alike.
bool is_plain(std::string_view text) {
  return !broken_utf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n') || byte == 0x7F;
  });
}

bool is_note_text(std::string_view text) {
  return text.ends_with('\n') && is_plain(text);
}

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"audit.note-malformed", {}});
}

tl::unexpected<Error> too_large() {
  return fail(
      ErrorKind::invalid,
      {"audit.note-too-large",
       {{"bytes", std::to_string(most_note_bytes)},
        {"signatures", std::to_string(most_note_signatures)}}}
  );
}

std::optional<NoteSignature> parse_signature(std::string_view line) {
  if (!line.starts_with(dash)) return std::nullopt;
  line.remove_prefix(dash.size());
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::string_view name = line.substr(0, space);
  auto blob = from_base64(line.substr(space + 1));
  if (!is_name(name) || !blob || blob->size() <= id_size) return std::nullopt;
  NoteSignature signature;
  signature.name = name;
  signature.id = static_cast<std::uint32_t>(from_big_endian(std::span(*blob).first(id_size)));
  signature.signature.assign(blob->begin() + id_size, blob->end());
  return signature;
}

// C2SP tlog-cosignature: two lines before the text, so that no text is ever taken for the other
// kind.
std::string cosigned(std::string_view text, std::uint64_t time) {
  return "cosignature/v1\ntime " + std::to_string(time) + "\n" + std::string(text);
}

// The verified signature, or nullopt.
std::optional<GoodSignature> verify(
    std::string_view text, const NoteSignature& signature, const VerifierKey& key
) {
  std::span<const std::uint8_t> bytes = signature.signature;
  if (key.type == ed25519_type) {
    if (!ed25519_verify(key.public_key, as_bytes(text), bytes)) return std::nullopt;
    return GoodSignature{key, 0};
  }
  if (key.type != cosignature_type || bytes.size() <= time_size) return std::nullopt;
  const std::uint64_t time = from_big_endian(bytes.first(time_size));
  const std::string message = cosigned(text, time);
  if (time > most_time ||
      !ed25519_verify(key.public_key, as_bytes(message), bytes.subspan(time_size))) {
    return std::nullopt;
  }
  return GoodSignature{key, time};
}

}  // namespace

std::string VerifierKey::text() const {
  return name + "+" + to_hex(big_endian(id, id_size)) + "+" + to_base64(typed(*this));
}

VerifierKey make_verifier_key(
    std::string_view name, std::span<const std::uint8_t> public_key, std::uint8_t type
) {
  VerifierKey key;
  key.name = name;
  key.type = type;
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
  if (!is_name(name) || !key || key->size() != key_bytes + 1 ||
      (key->front() != ed25519_type && key->front() != cosignature_type)) {
    return bad();
  }
  VerifierKey parsed = make_verifier_key(name, std::span(*key).subspan(1), key->front());
  if (parsed.text() != text) return bad();  // the id too
  return parsed;
}

std::string NoteSignature::line() const {
  Bytes blob = big_endian(id, id_size);
  blob.insert(blob.end(), signature.begin(), signature.end());
  return std::string(dash) + name + " " + to_base64(blob) + "\n";
}

std::string Note::print() const {
  std::string note = text + "\n";
  for (const NoteSignature& signature : signatures) note += signature.line();
  return note;
}

Result<std::vector<NoteSignature>> parse_signature_lines(std::string_view lines) {
  if (lines.size() > most_note_bytes) return too_large();
  if (!is_note_text(lines)) return malformed();
  std::vector<NoteSignature> signatures;
  while (const auto line = take_line(lines)) {
    if (signatures.size() == most_note_signatures) return too_large();
    auto signature = parse_signature(*line);
    if (!signature) return malformed();
    signatures.push_back(*std::move(signature));
  }
  return signatures;
}

Result<Note> parse_note(std::string_view note) {
  if (note.size() > most_note_bytes) return too_large();
  if (!is_note_text(note)) return malformed();
  // The last empty line parts the text from the signatures.
  const std::size_t split = note.rfind("\n\n");
  if (split == std::string_view::npos) return malformed();
  auto signatures = parse_signature_lines(note.substr(split + 2));
  if (!signatures) return fail(std::move(signatures));
  return Note{std::string(note.substr(0, split + 1)), *std::move(signatures)};
}

Result<NoteSignature> make_signature(
    std::string_view text, const VerifierKey& key, const Signer& signer
) {
  if (!is_note_text(text) || !is_name(key.name) || key.type != ed25519_type) return malformed();
  auto signature = signer(as_bytes(text));
  if (!signature) return fail(std::move(signature));
  return NoteSignature{key.name, key.id, *std::move(signature)};
}

Result<NoteSignature> make_cosignature(
    std::string_view text, const VerifierKey& key, std::uint64_t time, const Signer& signer
) {
  if (!is_note_text(text) || !is_name(key.name) || key.type != cosignature_type ||
      time > most_time) {
    return malformed();
  }
  const auto signature = signer(as_bytes(cosigned(text, time)));
  if (!signature) return tl::unexpected(signature.error());
  Bytes bytes = big_endian(time, time_size);
  bytes.insert(bytes.end(), signature->begin(), signature->end());
  return NoteSignature{key.name, key.id, std::move(bytes)};
}

Result<std::string> sign_note(std::string_view text, const VerifierKey& key, const Signer& signer) {
  auto signature = make_signature(text, key, signer);
  if (!signature) return fail(std::move(signature));
  return Note{std::string(text), {*std::move(signature)}}.print();
}

Result<VerifiedNote> verify_note(const Note& note, std::span<const VerifierKey> known) {
  VerifiedNote verified;
  verified.text = note.text;
  for (const NoteSignature& signature : note.signatures) {
    bool known_here = false;
    // Name and id may fit two known keys by accident or by intent: each of them has to hold.
    for (const VerifierKey& key : known) {
      if (!signature.by(key)) continue;
      known_here = true;
      auto good = verify(note.text, signature, key);
      if (!good) return fail(ErrorKind::invalid, {"audit.note-forged", {{"name", key.name}}});
      verified.good.push_back(*std::move(good));
      if (std::find(verified.signers.begin(), verified.signers.end(), key.name) ==
          verified.signers.end()) {
        verified.signers.push_back(key.name);
      }
    }
    if (!known_here) verified.others.push_back(signature);
  }
  if (verified.signers.empty()) return fail(ErrorKind::invalid, {"audit.note-unsigned", {}});
  return verified;
}

Result<VerifiedNote> verify_note(std::string_view note, std::span<const VerifierKey> known) {
  const auto parsed = parse_note(note);
  if (!parsed) return tl::unexpected(parsed.error());
  return verify_note(*parsed, known);
}

}  // namespace tally::audit
