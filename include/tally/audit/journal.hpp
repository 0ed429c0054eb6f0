// The one place where a change of state and its record are made together:
//   (1) one transaction: the new state, the message to send, the drafts, how far the log was;
//   (2) the records, durable;
//   (3) only then does the caller publish, send and answer.
// A restart appends exactly the drafts that the log does not have. Home executor only.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "tally/audit/appender.hpp"
#include "tally/core/store.hpp"

namespace tally::audit {

// Looks for the drafts of the outbox while the log is read at start.
class OutboxSearch {
 public:
  explicit OutboxSearch(std::vector<DraftRow> drafts);
  void see(const RecordView& record);  // for every record, in any order

  [[nodiscard]] const std::vector<DraftRow>& drafts() const { return drafts_; }
  [[nodiscard]] bool found(const std::string& event) const { return found_.contains(event); }

 private:
  std::vector<DraftRow> drafts_;
  std::unordered_set<std::string> wanted_;
  std::unordered_set<std::string> found_;
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

  // At start: appends the drafts that the log lacks, in the order of their commits, and clears the
  // outbox.
  awaitable<Result<void>> replay(OutboxSearch search);

 private:
  Store& store_;
  LogAppender& log_;
  std::vector<std::string> logged_;  // events to take out of the outbox with the next transaction
};

}  // namespace tally::audit
