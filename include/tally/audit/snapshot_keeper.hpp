// Keeps the store's snapshot near the end of the log: at least one for each segment, and one at a
// clean stop, so that a start reads no more than about a segment.
//
// It reads the log in the background, as a start would, and asks nothing of what is running: no use
// ever waits for it. Home executor only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "tally/audit/journal.hpp"
#include "tally/audit/log_writer.hpp"
#include "tally/audit/snapshot.hpp"
#include "tally/core/clock.hpp"

namespace tally::audit {

struct SnapshotKeeperParts {
  Store& store;
  Journal& journal;
  LogWriter& log;
  Worker& worker;
  std::function<Result<std::unique_ptr<LogStorage>>()> open_log;  // for reading
  MakeLogParts make_parts;
};

class SnapshotKeeper {
 public:
  // `size`: of the snapshot that the log was opened from; 0: none.
  SnapshotKeeper(SnapshotKeeperParts parts, std::uint64_t size);

  // Whether the log has begun a segment since the last one.
  [[nodiscard]] bool due() const;
  // Takes one of what is durable now, if that is more than the last one has, none is being taken,
  // and neither has the log failed nor is its disk nearly full. It is durable on
  // return, and so are the side files below it. Errors: those of make_snapshot, of LogTree and of
  // Journal::commit; the one before stays then, and another attempt may be made.
  awaitable<Result<void>> take();

 private:
  // From the base, or from all records when that one is of no use.
  Result<Snapshot> make(const Result<std::optional<Snapshot>>& base, const LogMark& mark);

  SnapshotKeeperParts parts_;
  std::uint64_t size_;
  std::shared_ptr<bool> taking_ = std::make_shared<bool>(false);
};

}  // namespace tally::audit
