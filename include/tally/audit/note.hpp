// Signed notes (C2SP signed-note) with Ed25519: the form of receipts, and of checkpoints later.
// Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/core/result.hpp"

namespace tally::audit {

// "name+hex(id)+base64(type || public key)".
struct VerifierKey {
  std::string name;
  std::uint32_t id = 0;
  std::uint8_t type = 0x01;  // Ed25519
  Bytes public_key;

  [[nodiscard]] std::string text() const;
};

// Precondition: a valid name (no space, no '+', not empty) and 32 bytes.
VerifierKey make_verifier_key(std::string_view name, std::span<const std::uint8_t> public_key);
// Errors: invalid audit.vkey-malformed.
Result<VerifierKey> parse_verifier_key(std::string_view text);

using Signer = std::function<Result<Bytes>(std::span<const std::uint8_t> bytes)>;

// The note: `text` (which ends in a line feed), an empty line, one signature line.
Result<std::string> sign_note(std::string_view text, const VerifierKey& key, const Signer& signer);

// The text of a note that at least one known key signed. A signature by an unknown key is ignored;
// one by a known key that fails refuses the whole note. Errors: invalid audit.note-malformed,
// audit.note-unsigned, audit.note-forged.
struct VerifiedNote {
  std::string text;
  std::vector<std::string> signers;  // names of the known keys that signed
};
Result<VerifiedNote> verify_note(std::string_view note, std::span<const VerifierKey> known);

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
