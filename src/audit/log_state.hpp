// The log itself at the end of one of its frames: all that the records behind are checked against.
// It is the first part of a snapshot.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
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
// The log alone, whatever other parts there are. Errors: invalid audit.snapshot-malformed.
Result<LogState> restore_log(const Snapshot& snapshot);

// Row 0 of a snapshot, which says what the pieces are, and back: false unless it is of exactly the
// pieces that `snapshot` has. (snapshot.cpp)
std::string head_text(const Snapshot& snapshot);
bool take_head(std::string_view text, Snapshot& snapshot);

}  // namespace tally::audit
