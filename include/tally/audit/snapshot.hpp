// Where a start goes on reading: how far the log was, and what its records up to there add up to
// (docs/audit-log-format.md, "Snapshots").
//
// A snapshot is made from the records, never from what a running connector has in memory: as a
// start would make it. So it is a function of the log, and says nothing that the records do not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tally/audit/log_part.hpp"
#include "tally/audit/log_storage.hpp"
#include "tally/core/store.hpp"

namespace tally::audit {

// Some items of one part, as a JSON array of bounded size.
struct SnapshotPiece {
  std::string part;
  std::string items;
  bool operator==(const SnapshotPiece&) const = default;
};

struct Snapshot {
  LogMark at;
  std::vector<SnapshotPiece> pieces;  // those of the log itself first, then part by part
  bool operator==(const Snapshot&) const = default;
};

// --- in the store: rows of one kind, changed in one transaction ---

// nullopt: there is none. Errors: invalid audit.snapshot-malformed (rows that are not one whole
// snapshot of a format that this program knows), and those of the store.
Result<std::optional<Snapshot>> load_snapshot(Store& store);
// What puts the snapshot in the place of the one before. Errors: those of the store.
Result<Transaction> replace_snapshot(Store& store, const Snapshot& snapshot);

// Takes the snapshot out of the store: a new log has none yet. Errors: those of the store.
Result<void> begin_snapshots_again(Store& store, Transaction& change);

// --- from the log ---

// Reads from `base` (from the first record without one) to exactly `size` records, which must be
// durable and end a frame, and checks each as recovery does. Takes no lock and changes nothing;
// blocks. `parts` are fresh, and of no use afterwards. Errors: invalid audit.snapshot-malformed,
// conflict audit.snapshot-unfit (the base is not of this log, or the records do not lead to
// `size`), internal of a part, unavailable.
Result<Snapshot> make_snapshot(
    LogStorage& storage, const Snapshot* base, std::uint64_t size, LogParts& parts
);

}  // namespace tally::audit
