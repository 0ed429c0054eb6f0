// The Merkle tree of a running log, as it is shown to others: checkpoints, proofs, tiles, entries.
//
// Its writer feeds it; everybody else only asks. What it hashes is durable already, and every
// record that was acknowledged is in it. The hashes stand in side files (docs/audit-log-format.md),
// which are written behind the acknowledgement, never synced, and made again at the next start.
//
// The questions are for any thread; they block for reads, and checkpoint() for two syncs, so a
// coroutine asks through a Worker. feed(), slot_checkpoint(), flush() and write_head() are the
// writer's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "tally/audit/checkpoint.hpp"
#include "tally/audit/log_storage.hpp"
#include "tally/audit/recovery.hpp"
#include "tally/audit/tiles.hpp"

namespace tally::audit {

// A checkpoint that may be shown to anybody.
struct ReleasedCheckpoint {
  Checkpoint checkpoint;
  std::string note;  // with the log's signature
};

class LogTree {
 public:
  // `storage` must outlive it. Side files that recovery found missing, short or wrong are made
  // again here; when that fails, proofs and tiles are unavailable, and the log goes on.
  LogTree(LogStorage& storage, const Recovered& recovered);
  ~LogTree();
  LogTree(const LogTree&) = delete;
  LogTree& operator=(const LogTree&) = delete;

  // --- questions: any thread ---

  // How many records the tree has: all that are durable.
  [[nodiscard]] std::uint64_t size() const;
  // Who signs. Without it, or with another key than the log's current one, there are no
  // checkpoints.
  void sign_with(VerifierKey key, Signer signer);
  // The key before the current one signs too, for those who do not know the new one yet; until the
  // next sign_with.
  void sign_also_with(VerifierKey key, Signer signer);
  // Signs nothing until the next sign_with. Then no checkpoint covers a `key.rotated` with the
  // signature of the old key alone.
  void hold_signing();
  // After the `key.rotated` is durable.
  void rotated(VerifierKey current);
  // The checkpoint over everything that is durable now. Signed at most once for each size; when it
  // returns, the head file names at least this size and carries the note, both durable, so a log
  // that is shorter is refused at the next start. Errors: unavailable audit.log-failed (nothing is
  // signed after the writer's first failure), audit.log-key-other, and those of the storage.
  Result<ReleasedCheckpoint> checkpoint();
  // The same, with the cosignatures that are kept of exactly this checkpoint.
  Result<std::string> shown_checkpoint();
  // The cosigned checkpoint that is kept; empty: none. It may be older than the last one signed.
  [[nodiscard]] std::string cosigned() const;
  // Keeps one that was released here, with its cosignatures, durable on return, unless `is_better`
  // says that of the one kept now. Errors: those of the storage.
  Result<void> keep_cosigned(
      const Note& note, const std::function<bool(const Note& kept)>& is_better
  );
  // Of a record in the tree of `size` records. Errors: invalid audit.proof-range (also for a size
  // above size()), unavailable.
  Result<Proof> inclusion_proof(std::uint64_t index, std::uint64_t size) const;
  // That the tree of `second` records continues the one of `first`. Errors: as above.
  Result<Proof> consistency_proof(std::uint64_t first, std::uint64_t second) const;
  // The root that the tree had at `size` records. Errors: as above.
  Result<Digest> root(std::uint64_t size) const;
  // The bytes of a tile or of a bundle of entries; of a partial one also when it is full by now.
  // Errors: not_found audit.tile-absent, unavailable.
  Result<Bytes> tile(const Tile& tile) const;

  // Makes durable what the side files hold of the full tiles of the first `size` records: a
  // snapshot of that size relies on them. Blocks. Errors: unavailable, also audit.tiles-behind (not
  // written yet: try again).
  Result<void> sync_tiles(std::uint64_t size);

  // --- the writer's ---

  // Records that became durable, in order. Cheap: they are hashed later. Called before anybody is
  // told of them.
  void feed(std::span<const Digest> leaves);
  // What the slot of a frame that is about to be written is worth: the checkpoint over all records
  // before it, once for each that was released since the last slot; else nothing. Whoever has the
  // segments alone finds there what the log's key said as the log grew.
  std::string slot_checkpoint();
  // Hashes what was fed and writes what makes a full tile, or everything. Never synced; a failure
  // does not concern the log.
  void flush(bool everything);
  // The head file with the size that is durable and the last checkpoint released. Durable on
  // return.
  Result<void> write_head();
  // The writer has failed: nothing is signed any more.
  void stop(const Error& cause);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::audit
