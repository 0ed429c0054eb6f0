// How one log of a connector follows another, which must not be extended any more: what the first
// record of the new one says of the one before (docs/audit-log-format.md, section 3.3).
//
// Values and pure functions, safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/core/json.hpp"

namespace tally::audit {

// So that the first record stays far below what a record may hold.
constexpr std::size_t most_proofs_of_loss = 32;

struct Follows {
  // A checkpoint that the log before had signed and that its records, as they were found, do not
  // lead to: it had been longer, or another.
  struct Proof {
    Digest note{};  // SHA-256 of the note, which lies in the folder of that log
    std::uint64_t size = 0;
    Digest root{};
    bool operator==(const Proof&) const = default;
  };

  std::string origin;
  std::uint64_t size = 0;     // its records, as they were found
  Digest leaf{};              // of the last of them
  Digest root{};              // of the tree over them
  std::string verdict;        // what a check of it said: whole, incomplete, changed
  std::vector<Proof> proofs;  // none: it was given up on its owner's word alone
  bool operator==(const Follows&) const = default;
};

Json to_json(const Follows& follows);
// The value of a first record's `follows`, exactly in the form that to_json gives, of a log before
// `origin` by the same connector. nullopt: it is not.
std::optional<Follows> parse_follows(const Json& value, std::string_view origin);

// "<connector id>/log/<n>" → n. nullopt: another form, also one with leading zeros.
std::optional<std::uint64_t> log_number(std::string_view origin);
// Whether `origin` is a later log of the connector whose log `before` is.
bool comes_after(std::string_view origin, std::string_view before);
// The origin of the log that comes after it. Precondition: it has a number.
std::string next_origin(std::string_view origin);

}  // namespace tally::audit
