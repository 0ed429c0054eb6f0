// A signed note whose text is two lines: a word that says of what kind it is, and one JSON object
// in canonical form (RFC 8785). The form of receipts, statements and notes of deletion.
//
// Pure; free functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "tally/audit/note.hpp"
#include "tally/core/json.hpp"

namespace tally::audit {

constexpr std::size_t most_signed_json_bytes = 16 << 10;

// `jcs` is canonical JSON. Errors: those of sign_note.
Result<std::string> sign_json(
    std::string_view kind, std::string_view jcs, const VerifierKey& key, const Signer& signer
);

// The object of a note of this kind that `key` signed. What was signed is the canonical form and
// nothing else. Errors: those of verify_note, invalid audit.note-other (or more than `most_bytes`).
Result<Json> open_signed_json(
    std::string_view note,
    std::string_view kind,
    const VerifierKey& key,
    std::size_t most_bytes = most_signed_json_bytes
);

}  // namespace tally::audit
