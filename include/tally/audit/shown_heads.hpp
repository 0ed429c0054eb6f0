// That an agreement has so many records in a log and no more, or none at all, for somebody who has
// the log's key and nothing else: a `log.heads` record, its proof under a checkpoint, and the proof
// from the map of heads (docs/audit-log-format.md, section 15, "As a file").
//
// Values and free functions; all but prove_heads are pure and safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tally/audit/heads.hpp"
#include "tally/audit/log_proof.hpp"
#include "tally/audit/log_storage.hpp"

namespace tally::audit {

struct ShownHeads {
  std::string record;  // log.heads, its bytes
  HeadsProof heads;
  LogProof proof;  // of the record

  [[nodiscard]] std::string print() const;
};

// Strict: `print()` gives back the same bytes. Errors: invalid audit.shown-heads-malformed, and
// those of the two proofs.
Result<ShownHeads> parse_shown_heads(std::string_view text);

// From the last log.heads record under the kept checkpoint. Reads the log three times; memory grows
// with its agreements. Errors: those of prove_record, not_found audit.no-heads (no such record
// under the checkpoint), conflict audit.heads-other-root (the record says another root than the
// records before it have).
Result<ShownHeads> prove_heads(LogStorage& storage, const AgreementId& agreement);

struct AgreementShown {
  VerifiedCheckpoint checkpoint;
  std::uint64_t size = 0;             // the records before the log.heads record: as of then
  std::optional<AgreementHead> head;  // nullopt: no record of this agreement among them
};
// What `shown` shows of the agreement. Errors: invalid; those of verify_log_proof and
// verify_heads_proof, audit.shown-heads-other (the record is not a log.heads of that log and
// place, or the head is behind it).
Result<AgreementShown> verify_shown_heads(
    const ShownHeads& shown, const AgreementId& agreement, const LogPolicy& policy
);

}  // namespace tally::audit
