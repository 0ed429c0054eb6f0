// Checkpoints (C2SP tlog-checkpoint): how long a log is and what its root is, as a note that the
// log signed, and witnesses beside it.
//
// Pure; values and free functions, safe from any thread. Whoever signs checkpoints sees to it that
// no two of one log contradict each other: nothing here remembers anything.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/note.hpp"
#include "tally/audit/tree.hpp"

namespace tally::audit {

// Of the whole note, with all signatures.
constexpr std::size_t most_checkpoint_bytes = 256 << 10;

struct Checkpoint {
  std::string origin;      // names the log; not empty
  std::uint64_t size = 0;  // records; at most most_tree_size
  Digest root{};
  // Lines that a log may add; monitors cannot audit them. This program writes none: what it has to
  // say is a record.
  std::vector<std::string> extensions;

  // The text that is signed: a line each.
  [[nodiscard]] std::string text() const;
  bool operator==(const Checkpoint&) const = default;
};

// The text of a note. Strict: `text()` gives back the same bytes. Errors: invalid
// audit.checkpoint-malformed.
Result<Checkpoint> parse_checkpoint(std::string_view text);

// The note with the log's own signature. Precondition: a checkpoint that parses. Errors: invalid
// audit.checkpoint-origin (the key has another name than the log), and those of make_signature.
Result<std::string> sign_checkpoint(
    const Checkpoint& checkpoint, const VerifierKey& key, const Signer& signer
);

// The cosignature of a witness over a checkpoint, at `time` in seconds of Unix time: that the
// largest tree of this log it has seen by then is this one, and consistent with all it saw before.
// Nothing of that is checked here. Errors: as parse_note, parse_checkpoint and make_cosignature.
Result<NoteSignature> cosign_checkpoint(
    std::string_view note, const VerifierKey& key, std::uint64_t time, const Signer& signer
);

// A checkpoint whose log signed it.
struct VerifiedCheckpoint {
  Checkpoint checkpoint;
  std::string text;                 // of the note
  std::vector<GoodSignature> good;  // by the log, and cosignatures by those of `known`
  std::vector<NoteSignature> others;
};

// `known` holds keys of logs (type 0x01) and of witnesses (0x04). The log's signature counts only
// if the key bears the name that stands in the checkpoint: one log cannot speak for another.
// Errors: invalid; those of verify_note, audit.note-unsigned also when only witnesses signed,
// audit.note-too-large, audit.checkpoint-malformed.
Result<VerifiedCheckpoint> verify_checkpoint(
    std::string_view note, std::span<const VerifierKey> known
);

}  // namespace tally::audit
