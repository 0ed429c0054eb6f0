// Signed notes (C2SP signed-note) with Ed25519: the form of receipts and of checkpoints. A note is
// a text and signatures by any number of keys, of which a reader knows some.
//
// Two types of signature are known: plain ones (0x01), and the cosignatures of witnesses (0x04,
// C2SP tlog-cosignature), which sign a time together with the text. Others are kept and ignored.
//
// Pure; values and free functions, safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/core/result.hpp"

namespace tally::audit {

constexpr std::uint8_t ed25519_type = 0x01;
constexpr std::uint8_t cosignature_type = 0x04;

// The standard wants at least 16 signatures; one with a key of the post-quantum kind has about 5
// kB.
constexpr std::size_t most_note_bytes = 1 << 20;
constexpr std::size_t most_note_signatures = 64;

// "name+hex(id)+base64(type || public key)". A witness never uses one key for two names or for both
// types: a cosignature does not say by which name it was given.
struct VerifierKey {
  std::string name;
  std::uint32_t id = 0;
  std::uint8_t type = ed25519_type;
  Bytes public_key;

  [[nodiscard]] std::string text() const;
  bool operator==(const VerifierKey&) const = default;
};

// Precondition: a valid name (no space, no '+', not empty) and 32 bytes.
VerifierKey make_verifier_key(
    std::string_view name,
    std::span<const std::uint8_t> public_key,
    std::uint8_t type = ed25519_type
);
// Of one of the two types above. Errors: invalid audit.vkey-malformed.
Result<VerifierKey> parse_verifier_key(std::string_view text);

using Signer = std::function<Result<Bytes>(std::span<const std::uint8_t> bytes)>;

// One signature line: who says to have signed, and the bytes behind the key's id, unverified.
struct NoteSignature {
  std::string name;
  std::uint32_t id = 0;
  Bytes signature;

  [[nodiscard]] std::string line() const;  // with its line feed
  [[nodiscard]] bool by(const VerifierKey& key) const { return name == key.name && id == key.id; }
  bool operator==(const NoteSignature&) const = default;
};

// A note as it was read, in the order of its lines. Nothing is verified yet.
struct Note {
  std::string text;  // with its last line feed
  std::vector<NoteSignature> signatures;

  // Reading what `print` wrote gives the same note.
  [[nodiscard]] std::string print() const;
  bool operator==(const Note&) const = default;
};

// Errors: invalid audit.note-malformed, audit.note-too-large.
Result<Note> parse_note(std::string_view note);
// Signature lines alone, one or more, as a witness answers them. Errors: as above.
Result<std::vector<NoteSignature>> parse_signature_lines(std::string_view lines);

// A plain signature (0x01) over the text. Errors: invalid audit.note-malformed (text or key unfit),
// and those of the signer.
Result<NoteSignature> make_signature(
    std::string_view text, const VerifierKey& key, const Signer& signer
);
// A cosignature (0x04) of `text` at `time`, in whole seconds of Unix time. Errors: as above.
Result<NoteSignature> make_cosignature(
    std::string_view text, const VerifierKey& key, std::uint64_t time, const Signer& signer
);
// The note: `text` (which ends in a line feed), an empty line, one plain signature.
Result<std::string> sign_note(std::string_view text, const VerifierKey& key, const Signer& signer);

// A signature that was verified.
struct GoodSignature {
  VerifierKey key;
  std::uint64_t time = 0;  // of a cosignature, in seconds of Unix time; 0 for a plain one

  [[nodiscard]] bool cosignature() const { return key.type == cosignature_type; }
};

// The text of a note that at least one known key signed. A signature by an unknown key is ignored;
// one by a known key that fails refuses the whole note. Errors: invalid audit.note-malformed,
// audit.note-too-large, audit.note-unsigned, audit.note-forged.
struct VerifiedNote {
  std::string text;
  std::vector<std::string> signers;   // names of the known keys that signed, each once
  std::vector<GoodSignature> good;    // in the order of the lines
  std::vector<NoteSignature> others;  // by keys that are not known here
};
Result<VerifiedNote> verify_note(std::string_view note, std::span<const VerifierKey> known);
Result<VerifiedNote> verify_note(const Note& note, std::span<const VerifierKey> known);

// Ed25519 over raw keys, for keys that live in memory.
Result<Bytes> ed25519_sign(
    std::span<const std::uint8_t> private_key, std::span<const std::uint8_t> message
);
bool ed25519_verify(
    std::span<const std::uint8_t> public_key,
    std::span<const std::uint8_t> message,
    std::span<const std::uint8_t> signature
);
Result<Bytes> ed25519_public_key(std::span<const std::uint8_t> private_key);

}  // namespace tally::audit
