// What a log and a witness say to each other (C2SP tlog-witness, add-checkpoint): the request, the
// answers, and what a witness answers, as a pure function of what it remembers.
//
// Whoever calls `decide` keeps the promise that makes it worth anything: deciding and storing the
// new head are one step for each log, and the head is durable before the answer leaves. Pure;
// values and free functions, safe from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/checkpoint.hpp"

namespace tally::audit {

constexpr std::size_t most_request_hashes = 63;
// What `old`, the hashes of a proof, an empty line and the checkpoint can come to: for whoever
// reads the body from a stranger.
constexpr std::size_t most_request_bytes = most_checkpoint_bytes + (4 << 10);
constexpr std::string_view tlog_size_type = "text/x.tlog.size";

// The body of POST <prefix>/add-checkpoint.
struct AddCheckpoint {
  std::uint64_t old_size = 0;  // of the tree that the proof begins at
  Proof proof;                 // consistency, from old_size to the checkpoint's size
  Note note;                   // the checkpoint as it came, unverified
  Checkpoint checkpoint;       // what `note.text` says; `checkpoint.origin` finds the log

  [[nodiscard]] std::string print() const;
};
// Strict: `print()` gives back the same bytes. Errors: invalid audit.witness-request (answer 400).
Result<AddCheckpoint> parse_add_checkpoint(std::string_view body);

// The number is the HTTP status.
enum class WitnessStatus {
  cosigned = 200,
  malformed = 400,     // also: the old size is above the checkpoint's
  untrusted = 403,     // no good signature by a trusted key, or a bad one by such a key
  unknown_log = 404,   // no such origin
  other_size = 409,    // the old size is not that of the last cosigned checkpoint
  inconsistent = 422,  // the proof does not hold, or another root at the same size
};

// What a witness remembers of a log that it watches.
struct WatchedLog {
  std::vector<VerifierKey> keys;  // of the log; those of another name or type do not count
  std::uint64_t size = 0;         // of the last checkpoint that was cosigned; 0: never
  Digest root{};                  // of the same; ignored at size 0
};

struct WitnessDecision {
  WitnessStatus status = WitnessStatus::malformed;
  std::uint64_t size = 0;  // at other_size: of the last cosigned checkpoint, for the answer
  // The log's signature was good: worth keeping when the rest is not, as evidence.
  bool signed_by_log = false;
  Message reason;  // unless cosigned: audit.witness-*
};
// `log` is null for an origin that is not watched. At `cosigned` the caller stores the checkpoint's
// size and root as the last ones, cosigns `request.note.text`, and only then answers.
WitnessDecision decide(const AddCheckpoint& request, const WatchedLog* log);

// An answer as it goes over the wire.
struct WitnessAnswer {
  WitnessStatus status = WitnessStatus::malformed;
  std::vector<NoteSignature> cosignatures;  // at cosigned: one or more
  std::uint64_t size = 0;                   // at other_size

  [[nodiscard]] std::string body() const;  // empty but at cosigned and other_size
  [[nodiscard]] std::string_view content_type() const;
};
// What a log makes of it. A 409 that names no size is `inconsistent`. Errors: unavailable
// audit.witness-answer (a status that is none of the above, or a body of another form).
Result<WitnessAnswer> parse_witness_answer(int status, std::string_view body);

// The checkpoint with the cosignatures of those witnesses that are known here; an older one by the
// same key gives way. Signatures by unknown keys are left out. Errors: invalid audit.note-forged
// (one by a known witness does not hold), audit.note-unsigned (none by a known witness),
// audit.note-too-large.
Result<Note> add_cosignatures(
    const Note& checkpoint,
    std::span<const NoteSignature> cosignatures,
    std::span<const VerifierKey> witnesses
);

}  // namespace tally::audit
