// The one writer of a log: stamps, chains, writes and syncs whatever was queued, then acknowledges
// it all (group commit). There is no timer: the batch forms while the last sync runs.
//
// enqueue(), wait(), failed() and mark() from any thread. commit_batch(), fill_ahead() and close()
// from one owner: a thread in the daemon (audit/posix.hpp), events in the simulator.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "tally/audit/appender.hpp"
#include "tally/audit/log_storage.hpp"
#include "tally/audit/log_tree.hpp"
#include "tally/audit/recovery.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/counting.hpp"
#include "tally/core/limits.hpp"

namespace tally::audit {

// What a writer did since it was made.
struct LogFigures {
  Histogram::Reading flushes;  // nanoseconds of each: building, writing and syncing a batch
  Histogram::Reading batches;  // records in each
};

class LogWriter final : public LogAppender {
 public:
  // Continues the log that `recovered` describes. A torn tail that was cut is recorded first.
  LogWriter(
      LogStorage& storage, Recovered recovered, Clock& clock, Random& random, const Limits& limits
  );
  // Does no I/O. Coroutines that still wait are destroyed through their executors: the contexts
  // they run on must still exist.
  ~LogWriter() override;
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  Ticket enqueue(RecordDraft draft, Priority priority = Priority::ordinary) override;
  awaitable<Result<Appended>> wait(Ticket ticket) override;
  [[nodiscard]] bool failed() const override;
  [[nodiscard]] LogMark mark() const override;

  // Called when a record arrives on an empty queue, from the thread that queued it and under locks:
  // it must only wake the owner up. An empty function ends it.
  void on_work(std::function<void()> wake);

  // Writes one frame of what is queued: one write, one sync, then one post per waiting executor.
  // False when there was nothing to do.
  bool commit_batch();
  // Zero-fills a piece ahead of the end, so that later syncs change no metadata and so that the
  // reserve is real. False when enough is filled. Correctness does not depend on it.
  bool fill_ahead();
  // Writes what is queued, then the head file with a checkpoint over all of it. A clean stop.
  Result<void> close();

  // The first record of the segment that is written now. Any thread.
  [[nodiscard]] std::uint64_t segment() const;
  // The first failure, for readiness; nullopt while the log works.
  [[nodiscard]] std::optional<Error> failure() const;
  // The tree over what is durable: checkpoints, proofs, tiles. Any thread; lives as long as this.
  LogTree& tree();
  [[nodiscard]] LogFigures figures() const;  // any thread
  // Whether ordinary records are being refused because the disk is nearly full.
  [[nodiscard]] bool on_reserve() const;
  // Whether anything that the map of heads is worth signing for came after the last `log.heads`.
  // Any thread. The draft of that record is its type and event alone: the writer fills in `root`
  // and `count` where it gives the record its place; the first one hashes every agreement of the
  // log.
  [[nodiscard]] bool heads_due() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::audit
