// Retention: drops leading segments of the log whose every record is past its term, so that what
// happened can still be proven and no longer be read.
//
// In this order, each step durable before the next: the side files with the hashes of what goes,
// the snapshot file that stands for it, the record `retention.pruned`, and then the segments go,
// the first one first. What a crash leaves is finished by the next start.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tally/audit/appender.hpp"
#include "tally/audit/log_writer.hpp"
#include "tally/audit/pruned.hpp"
#include "tally/audit/snapshot_keeper.hpp"
#include "tally/core/clock.hpp"

namespace tally::audit {

// What may go, as the records alone say.
struct Prunable {
  std::uint64_t to = 0;              // the first record that stays; that of the log: nothing may go
  Message why;                       // what keeps the next segment
  std::vector<std::string> records;  // before `to`: the first one of the log, and each key.rotated
};

// When a record is past its term.
struct Term {
  Instant now;
  Nanos at_least = 0;    // behind its own time, or the end of its agreement
  bool reliable = true;  // `now`; else no record is past its term

  [[nodiscard]] Instant by() const { return now + -at_least; }
};

// Whole leading segments before `below`, but the last one, with no record behind `term.by()` and
// none under an agreement that had not ended for good by then, or whose policy wants its records
// kept until after `term.now`. Reads no further than `term.by()`. Errors: those of read_missing,
// invalid audit.snapshot-malformed, unavailable.
Result<Prunable> find_prunable(LogStorage& storage, const Term& term, std::uint64_t below);

// Writes the snapshot file for the records before `to`. Durable on return. Errors: those of
// make_snapshot, unavailable.
Result<PrunedSnapshot> write_pruned(LogStorage& storage, const Prunable& prunable, LogParts& parts);

// Removes the segments before `pruned->to`, the first one first, when their hashes lead to the root
// that the record names and the file is the one that it names; and snapshot files that no record
// names. Errors: those of read_pruned and of LogTree, conflict audit.pruned-changed, unavailable.
Result<void> remove_pruned(LogStorage& storage, LogTree& tree, const std::optional<Pruned>& pruned);

struct PruningParts {
  Store& store;
  LogAppender& appender;  // tells of milestones
  LogWriter& log;
  LogStorage& storage;  // of `log`
  Clock& clock;
  Random& random;
  Worker& worker;
  SnapshotKeeper& snapshots;
  MakeLogParts make_parts;
  std::function<Result<bool>()> is_witnessed;  // whether others cosign our checkpoints
};

// Home executor only.
class Pruning {
 public:
  // `before`: what a record of the log says was pruned last. `term`: how long what has ended stays.
  Pruning(PruningParts parts, std::optional<Pruned> before, Nanos term);

  struct Outcome {
    std::optional<Pruned> pruned;  // nullopt: nothing may go
    Message why;                   // what keeps the first segment that stays
  };
  // Nothing while one is under way. Only below the store's snapshot, which it renews first, below
  // what is not marked as recorded and, when others witness this log, below the best cosigned
  // checkpoint. Errors: of any step; what was done stays, and the next call or start goes on.
  awaitable<Result<Outcome>> prune();

 private:
  Result<std::uint64_t> most() const;
  Result<PrunedSnapshot> write(const Term& term, std::uint64_t below, Prunable& prunable) const;

  PruningParts parts_;
  std::optional<Pruned> before_;
  const Nanos term_;
  std::shared_ptr<bool> under_way_ = std::make_shared<bool>(false);
};

}  // namespace tally::audit
