// The one place where a change of state and its record are made together:
//   (1) one transaction: the new state, the message to send, the drafts, how far the log was;
//   (2) the records, durable;
//   (3) only then does the caller publish, send and answer.
// A restart appends exactly the drafts that the log does not have. Home executor only.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "tally/audit/appender.hpp"
#include "tally/core/store.hpp"
#include "tally/core/wakeup.hpp"

namespace tally::audit {

// Compares the store with the log while that is read at start: which drafts of the outbox are
// recorded already, and whether the store is an older copy. A record from the store's mark on that
// came with a change of the store is one of its drafts, since these go only with a later mark; if
// it is none, the change is lost. Records whose change the log heals (a destruction, an end, what
// is in force) say nothing here.
class OutboxSearch {
 public:
  OutboxSearch(std::vector<DraftRow> drafts, const LogMark& mark);
  void see(const RecordView& record);  // for every record, in any order

  // Nothing that is looked for stands in a record before this one.
  [[nodiscard]] std::uint64_t from() const;
  [[nodiscard]] const std::vector<DraftRow>& drafts() const { return drafts_; }
  [[nodiscard]] bool found(const std::string& event) const { return found_.contains(event); }
  // Errors: conflict audit.store-older, with the first record whose change the store has lost.
  [[nodiscard]] Result<void> check_store() const;

 private:
  std::vector<DraftRow> drafts_;
  std::unordered_set<std::string> wanted_;
  std::unordered_set<std::string> found_;
  std::uint64_t mark_;
  std::optional<Message> lost_;
};

class Journal {
 public:
  Journal(Store& store, LogAppender& log);

  // Steps (1) and (2). Errors: those of Store::commit (nothing happened), and those of
  // LogAppender::wait (the state is committed and its record will be there after a restart at the
  // latest; nothing may be published, sent or answered).
  awaitable<Result<std::vector<Appended>>> commit(
      Transaction transaction,
      std::vector<RecordDraft> drafts,
      Priority priority = Priority::ordinary
  );

  // Completes when every commit that had begun by now is through: its records are in the log, or it
  // failed. Who read the store and is about to show what stood there waits for this, so that nobody
  // sees a state whose record may still be lost.
  awaitable<void> settled();

  // At start: appends the drafts that the log lacks, in the order of their commits, and clears the
  // outbox.
  awaitable<Result<void>> replay(OutboxSearch search);

 private:
  Store& store_;
  LogAppender& log_;
  std::vector<std::string> logged_;  // events to take out of the outbox with the next transaction

  // The commits under way and who waits for them. Shared: a stopping connector may drop a commit
  // that waits for the log after it dropped its journal.
  struct Progress {
    struct Settling {
      std::uint64_t begun;  // waits for the commits that had begun then
      std::shared_ptr<Wakeup> wakeup;
    };
    std::uint64_t begun = 0;
    std::set<std::uint64_t> under_way;
    std::vector<Settling> settling;
  };
  class UnderWay;  // one commit, from before its transaction to after its records
  std::shared_ptr<Progress> progress_ = std::make_shared<Progress>();
};

}  // namespace tally::audit
