// A fact about a person stands beside the log, and the record holds a commitment to it
// (docs/audit-log-format.md, "Facts beside the log"). Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tally/core/digest.hpp"
#include "tally/core/result.hpp"

namespace tally::audit {

// SHA-256("audit-commit/v1" || 0 || salt || fact). Without the salt nobody can tell by trying which
// fact it is.
Digest commitment_to(std::span<const std::uint8_t> salt, std::string_view fact);

// What shows a commitment: the exact bytes of the fact (canonical JSON) and the salt.
struct Opening {
  Bytes salt;
  std::string fact;
};

// One line of JSON: {"fact": base64, "opening": 1, "salt": base64}, and back. Errors: invalid
// (audit.opening-malformed).
std::string print(const Opening& opening);
Result<Opening> parse_opening(std::string_view text);

// Whether `record` (its exact bytes) commits to this. Errors: not_found (audit.opening-none: the
// record has no `private`), conflict (audit.opening-other: it commits to something else).
Result<void> check_opening(std::string_view record, const Opening& opening);

}  // namespace tally::audit
