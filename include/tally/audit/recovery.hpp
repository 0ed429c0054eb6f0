// Making a log and opening it again: what may be repaired, what must not be, and what it holds.
//
// Only recovery cuts, and only what was never acknowledged: a single damaged frame at the very end,
// beyond every mark. Everything else is left as it is and refused.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "tally/audit/follows.hpp"
#include "tally/audit/heads.hpp"
#include "tally/audit/key_rotation.hpp"
#include "tally/audit/log_part.hpp"
#include "tally/audit/log_storage.hpp"
#include "tally/audit/pruned.hpp"
#include "tally/audit/record.hpp"
#include "tally/audit/snapshot.hpp"
#include "tally/audit/tiles.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/store.hpp"

namespace tally::audit {

// What the first record of a log fixes for ever.
struct Genesis {
  std::string origin;  // "<connector id>/log/<n>"
  PartyId actor;
  std::string vkey;   // first verifier key of the log (audit/note.hpp)
  bool test = false;  // a test log: every record says so, and the clock may be a test clock
  std::optional<Follows> follows = std::nullopt;  // the log before it; nullopt: the first one
};

// Writes the first record and the head file into an empty folder, all durable on return. Errors:
// conflict audit.log-exists.
Result<void> create_log(LogStorage& storage, const Genesis& genesis, Clock& clock, Random& random);

// The damaged end that was cut.
struct TornTail {
  std::string file;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  Digest digest{};
};

// A log that may be continued: what the writer needs.
struct Recovered {
  Genesis genesis;
  LogKeys keys;
  std::uint64_t size = 0;  // number of records
  Digest leaf{};           // of the last one
  Instant time;            // of the last one: no later record is earlier
  std::unordered_map<std::string, AgreementHead> agreements;
  bool heads_due = false;  // as LogWriter::heads_due
  std::string segment;     // the open one, and where the next frame goes
  std::uint64_t offset = 0;
  std::optional<TornTail> torn;  // the writer records it first
  Frontier tree;
  // For each tile level how many leading hashes its side file holds as they must be.
  std::array<std::uint64_t, tile_levels> side_files{};
  std::string checkpoint;  // the last one released, as a note; empty: none
  std::string cosigned;    // the one kept with cosignatures, as a note; empty: none
  // What a record says was pruned last. Segments of it may still be there: see audit/pruning.hpp.
  std::optional<Pruned> pruned;

  [[nodiscard]] LogMark mark() const;
};

using EachRecord = std::function<void(const RecordView&)>;  // the view lives as long as the call

// Locks the folder, makes durable what a kill left in the page cache, checks every record's place
// in the chain, cuts a torn tail, and hands each record to `each` in order (after all of them are
// known to be durable). A pruned log is read from its snapshot file on. `mark` is the largest known
// from elsewhere (Store::mark); the head file counts too. Errors:
//   not_found audit.log-missing   there is no log in the folder
//   conflict  audit.log-locked
//   conflict  audit.log-refused   {file, offset, seq, link}: tampering or a fault of the medium;
//             audit.log-short     {seq, size, …}: the log ends below the mark
//             audit.log-other     {seq, …}: another record at the mark
//             audit.log-other-root {size}: another tree than the checkpoint in the head file says
//             audit.pruned-absent, audit.pruned-malformed, audit.pruned-changed {file, seq}: the
//             snapshot file that stands for pruned records is not there, or not as a record says
//             audit.pruned-unrecorded {file, seq}: records are missing that no record prunes
//             Nothing was changed.
//   unavailable                   the files could not be read or synced
Result<Recovered> recover(LogStorage& storage, const LogMark& mark, const EachRecord& each = {});

// A log that may be continued, and what its records add up to.
struct Reopened {
  Recovered recovered;
  std::unique_ptr<LogParts> parts;
  std::uint64_t from = 0;  // records before this one were not read: the snapshot stands for them
  std::optional<Message> refused;  // why the snapshot was not taken, if there was one
};

// As `recover`, but from the snapshot on when it fits: it is of this log (the record that it ends
// with stands where it says, and everything that is known of the log before it says the same), and
// the records behind it are good. When it does not, all records are read, of a pruned log from its
// snapshot file on, and what they say counts.
// What lies before a snapshot that fits is not looked at; `verify` does. Errors: those of
// `recover`, and of the parts.
Result<Reopened> reopen_log(
    LogStorage& storage,
    const LogMark& mark,
    const Result<std::optional<Snapshot>>& snapshot,
    const MakeLogParts& make_parts,
    const EachRecord& each = {}
);

// Reads a log without a lock and changes nothing; stops at the first thing that is not a record.
// For readers beside a running writer (history, story): what is not complete yet is not seen, and
// neither is what was pruned (audit/pruned.hpp, first_kept).
Result<void> for_each_record(LogStorage& storage, std::uint64_t from_seq, const EachRecord& each);

}  // namespace tally::audit
