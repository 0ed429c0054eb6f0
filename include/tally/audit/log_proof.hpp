// The proof that one record is in a log (C2SP tlog-proof): its place, the hashes up to the root,
// and a checkpoint with that root. Checked offline, with the record and a policy, and nothing else.
//
// Pure; values and free functions, safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tally/audit/log_policy.hpp"

namespace tally::audit {

constexpr std::size_t most_extra_bytes = 64 << 10;
constexpr std::size_t most_log_proof_bytes = most_checkpoint_bytes + (96 << 10);

struct LogProof {
  std::optional<Bytes> extra;  // nothing vouches for it
  std::uint64_t index = 0;
  Proof hashes;            // inclusion, from the leaf's sibling up
  std::string checkpoint;  // the note, byte for byte

  [[nodiscard]] std::string print() const;
  bool operator==(const LogProof&) const = default;
};

// Strict: `print()` gives back the same bytes. The checkpoint is a note, and not looked into.
// Errors: invalid audit.log-proof-malformed.
Result<LogProof> parse_log_proof(std::string_view text);

// That the record with this leaf hash is at `proof.index` of a log that the policy believes.
// Errors: invalid; those of verify_checkpoint, audit.inclusion-unproved.
Result<VerifiedCheckpoint> verify_log_proof(
    const LogProof& proof, const Digest& leaf, const LogPolicy& policy
);

}  // namespace tally::audit
