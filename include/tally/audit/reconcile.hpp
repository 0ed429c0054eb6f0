// Two logs against each other: what one side says of their common agreements, and the other. Reads
// only, without a lock, also beside running writers; what it says is as good as the logs, so
// callers verify them first.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/record_source.hpp"
#include "tally/core/result.hpp"

namespace tally::audit {

enum class Reconciled {
  match,
  missing_here,   // only the other log has it
  missing_there,  // only this log has it
  hash_mismatch,
  bytes_mismatch,
  count_mismatch,  // a statement of uses is not what the records add up to, or not what was held
  unsigned_,   // a receipt that its signer issued or its holder holds, and the other does not know
  aseq_gap,    // an agreement's own sequence has a hole
  order,       // a step of a transfer stands before the one that it needs
  time_skew,   // the two clocks stood more than five minutes apart when the data went over
  other_leaf,  // another record stands where the other side saw one
  cut,         // the log ends before a record that the other side saw
};
// "MATCH", "MISSING_HERE", … as programs compare it.
std::string_view to_string(Reconciled kind);

struct ReconciledLine {
  Reconciled kind = Reconciled::match;
  std::string about;  // type of the record it is about
  std::string agreement;
  std::string pid;    // the transfer's, as the side that sends names it where that is known
  std::string here;   // what this log says; empty: nothing
  std::string there;  // what the other says
};

struct Reconciliation {
  std::string here;  // origins
  std::string there;
  std::vector<ReconciledLine> lines;  // by agreement
  [[nodiscard]] bool all_match() const;
};

// Transfers are joined on (agreement, process, content): the sender's `transfer.sent` with the
// receiver's `transfer.received` or `.rejected`; statements on (agreement, number); contracts on
// the agreement; receipts on their hash; records that one side answers (`peer`) on origin, sequence
// number and leaf. Agreements with others stay out, and with `only` all others than that one: where
// a source holds no more. Errors: invalid audit.reconcile-same, not_found audit.reconcile-nothing,
// and those of the source.
Result<Reconciliation> reconcile(
    const RecordSource& here, const RecordSource& there, const std::string& only = {}
);

}  // namespace tally::audit
