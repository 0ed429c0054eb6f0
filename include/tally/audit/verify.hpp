// The auditor's check of a folder, without a daemon, a key or a network. Reads only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tally/audit/checkpoint.hpp"
#include "tally/audit/helper.hpp"
#include "tally/audit/log_storage.hpp"
#include "tally/audit/recovery.hpp"
#include "tally/core/message.hpp"

namespace tally::audit {

// Also the exit code of `tally audit verify`.
enum class Verdict { whole = 0, changed = 1, incomplete = 2 };

// The first thing that is not as it must be.
struct Finding {
  std::uint64_t seq = 0;  // the record at fault
  std::string file;
  std::uint64_t offset = 0;  // of the record, or of the frame when the frame itself is at fault
  // Which link failed: frame, canonical, member, type, seq, prev, time, event, aseq, aprev, pruned
  // (a `retention.pruned` that does not follow on the one before it, a missing segment that none of
  // them prunes, or a snapshot file that is missing or not as one says), heads (a `log.heads` with
  // another root than the records before it have), log, clock, genesis, key (a `key.rotated` that
  // the current key did not sign), head, short, tail, segment, file, checkpoint (the one in the
  // head file or in the slot of a frame: its signature), tree (the same: another root), tile (a
  // wrong hash in a side file, which the next start makes again); with Depth::deep also form and
  // rule.
  std::string link;
  Message message;
};

struct VerifyReport {
  Verdict verdict = Verdict::incomplete;
  std::optional<Finding> finding;  // whenever the verdict is not whole
  std::optional<Genesis> genesis;  // as far as it could be read
  LogKeys keys;                    // as far as the records were good
  std::uint64_t records = 0;       // that were found good, from the first one that is there on
  std::uint64_t pruned = 0;        // records before that one, which were pruned
  std::uint64_t bytes = 0;         // of their texts
  std::string leaf;                // hex, of the last good one
  std::string root;                // hex, of the tree over the good ones
  // The last checkpoint that was released, as the head file carries it; its signature and its root
  // fit these records unless the finding says otherwise.
  std::optional<Checkpoint> checkpoint;
  std::string first_time;
  std::string last_time;
  // What this check cannot know, and what a reader must be told (a test log).
  std::vector<Message> notes;

  // Of the log as far as it was found good, with the records that were pruned.
  [[nodiscard]] std::uint64_t size() const { return pruned + records; }
};

// deep: each record is also read as JSON and written again, its members have the form that the
// format fixes, and the records of an agreement keep to the rules that a log alone can show.
enum class Depth { plain, deep };

// Never throws and never stops at an unreadable file: that is a finding too. A helper reads and
// hashes ahead; what is found is the same with it and without.
VerifyReport verify_log(LogStorage& storage, Depth depth = Depth::plain, Helper* helper = nullptr);

}  // namespace tally::audit
