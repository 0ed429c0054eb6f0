// What a folder with a log can show without the connector: its key, the log as static files, the
// proof of a record. Everything rests on the checkpoint that was released last, which the head file
// carries, or on the cosigned one that is kept beside it; what the log has beyond them nobody has
// signed yet.
//
// Reads only, beside a running writer too. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "tally/audit/checkpoint.hpp"
#include "tally/audit/log_proof.hpp"
#include "tally/audit/log_storage.hpp"
#include "tally/audit/recovery.hpp"

namespace tally::audit {

// The first record. Errors: not_found audit.log-missing, conflict audit.log-refused (damaged),
// unavailable.
Result<Genesis> read_genesis(LogStorage& storage);

// All keys of the log, from its records. Errors: as above, and conflict audit.log-refused (a
// rotation that the current key did not sign).
Result<LogKeys> read_keys(LogStorage& storage);

// The checkpoint in the head file, signed with the key that the log had at that size. Errors:
// not_found audit.no-checkpoint (none was released), conflict audit.log-refused, and as above.
struct KeptCheckpoint {
  Genesis genesis;
  Checkpoint checkpoint;
  std::string note;
};
Result<KeptCheckpoint> read_checkpoint(LogStorage& storage);
// The one that is kept with the cosignatures of witnesses, its log's signature checked; what the
// witnesses signed is for a reader with a policy. Perhaps older than the one above. nullopt: none.
Result<std::optional<KeptCheckpoint>> read_cosigned(LogStorage& storage);

// One file of the static tree: a path of C2SP tlog-tiles ("tile/0/000", …, "checkpoint"), without
// the prefix of the log. An error ends the writing.
using StaticFile =
    std::function<Result<void>(const std::string& path, std::span<const std::uint8_t> bytes)>;

// The tree of exactly the checkpoint's size, from the records alone; the checkpoint comes last,
// after it was seen to fit. Memory does not grow with the log. Errors: as above, conflict
// audit.log-unread (not all of its records are readable), conflict audit.log-other-root, and those
// of `put`.
Result<KeptCheckpoint> write_static_log(LogStorage& storage, const StaticFile& put);

// The proof that a record is under the cosigned checkpoint, or else under the one in the head file,
// and the record. Errors: as above, not_found
// audit.record-unsigned (no record before the checkpoint's end has that number).
struct ProvenRecord {
  LogProof proof;
  std::string record;  // its bytes
};
Result<ProvenRecord> prove_record(LogStorage& storage, std::uint64_t seq);

}  // namespace tally::audit
