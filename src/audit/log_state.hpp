// The log itself at the end of one of its frames: all that the records behind are checked against.
// It is the first part of a snapshot.
#pragma once

#include <cstdint>
#include <vector>

#include "tally/audit/log_part.hpp"
#include "tally/audit/snapshot.hpp"
#include "tally/audit/tree.hpp"

#include "chain.hpp"

namespace tally::audit {

struct LogState {
  Chain chain;
  // The tree over all full tiles of leaves, and the leaves behind them: what the side files hold
  // for certain, and what they may lack.
  Frontier tiles;
  std::vector<Digest> edge;
  std::vector<std::uint64_t> segments;  // the first record of each, up to the one that is read
  std::uint64_t frame = 0;              // offset of the last frame in the last segment
  std::uint64_t end = 0;                // and behind it

  void append(const Digest& leaf);
};

// The pieces of the log and of its parts.
std::vector<SnapshotPiece> save_pieces(const LogState& state, const std::vector<LogPart*>& parts);
// Errors: as LogPart::restore; also for a part that is not known, and for one that is missing.
Result<LogState> restore_pieces(const Snapshot& snapshot, const std::vector<LogPart*>& parts);

}  // namespace tally::audit
