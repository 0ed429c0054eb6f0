// A log's keys in their order: the first one stands in its genesis, each later one in a
// `key.rotated` record with a note that the key before it and the new one signed
// (docs/audit-log-format.md, section 7).
//
// Pure; values and free functions, safe from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/checkpoint.hpp"
#include "tally/core/instant.hpp"

namespace tally::audit {

constexpr std::size_t most_rotations = 64;  // of one log

// That the key of a log is another one from now on.
struct KeyRotation {
  std::string origin;
  VerifierKey before;
  VerifierKey after;
  // Up to then both keys sign checkpoints; then the private key of `before` is erased. Whole
  // seconds.
  Instant overlap_until;
  bool operator==(const KeyRotation&) const = default;
};

// The note, signed by both keys. Precondition: keys of type 0x01 named `origin`, not the same.
// Errors: those of the signers.
Result<std::string> sign_rotation(
    const KeyRotation& rotation, const Signer& before, const Signer& after
);
// Errors: invalid audit.rotation-malformed (also when a signature is missing or wrong, or one key
// is not of this origin).
Result<KeyRotation> parse_rotation(std::string_view note);

// All keys that a log ever had. A key that was left never counts again.
class LogKeys {
 public:
  struct Entry {
    std::uint64_t from = 0;  // the record that names it: it counts for trees of more records
    VerifierKey key;
    std::string note;  // of its rotation; empty: the first key
    bool operator==(const Entry&) const = default;
  };
  LogKeys() = default;
  explicit LogKeys(VerifierKey first) { entries_.push_back({0, std::move(first), {}}); }

  // The next key, as the note in record `seq` says. Errors: invalid audit.rotation-malformed,
  // audit.rotation-unfit (it does not follow the current key, or goes back to an old one).
  Result<void> rotate(std::uint64_t seq, std::string_view note);

  // Precondition of these two: not empty.
  [[nodiscard]] const VerifierKey& current() const { return entries_.back().key; }
  [[nodiscard]] const VerifierKey& at(std::uint64_t size) const;
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] std::vector<std::string> notes() const;
  // With the rotations that somebody else can show beyond these: a log that was set back may lack
  // the records of its newest keys. Notes that do not follow are left out.
  [[nodiscard]] LogKeys extended(std::span<const std::string> shown) const;

  // A checkpoint that the key of its size signed; another key's signature alone is none. Errors:
  // as audit::verify_checkpoint.
  [[nodiscard]] Result<VerifiedCheckpoint> verify(std::string_view note) const;

 private:
  std::vector<Entry> entries_;
};

// A list of rotation notes as it goes over the wire, first one first.
std::string print_rotations(std::span<const std::string> notes);
// Errors: invalid audit.rotation-malformed. The notes are not looked into.
Result<std::vector<std::string>> parse_rotations(std::string_view text);

}  // namespace tally::audit
