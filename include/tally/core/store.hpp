// What must survive besides the log: process rows, messages to be sent, answers given, drafts of
// records. One small transactional interface; SQLite implements it (src/store), and a memory that
// forgets what was not synced does in tests.
//
// A change of state is: commit (state, message, draft together) → append the draft to the log and
// wait → only then publish, send and answer. audit::Journal is the one place that does these steps
// in this order; services do not call commit themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/clock.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/result.hpp"

namespace tally {

// One row of a process or entity. `kind` is the table's word: "asset", "offer", "negotiation",
// "agreement", "transfer", "artefact", "duty", "app", "token", …
struct Row {
  std::string kind;
  std::string id;
  std::uint64_t version = 0;  // as read; 0 = not stored yet. A commit stores version + 1
  std::string state;          // indexed with kind
  std::string owner;          // indexed with kind: the agreement, peer or asset it belongs to
  std::string body;           // JSON
  bool operator==(const Row&) const = default;
};

// A message that has to reach a peer, with its own id kept over all retries.
struct OutgoingMessage {
  std::string id;       // the message's @id
  std::string process;  // the row id of the process it belongs to
  PartyId to;
  std::string method;
  std::string url;
  std::string headers;  // JSON object: extra header fields
  std::string body;
  Instant created;
  Instant next_attempt;
  std::uint32_t attempts = 0;
  std::string last_answer;  // what the last attempt met: status or error code, for people
  bool operator==(const OutgoingMessage&) const = default;
};

// The answer given to a received message: a repeat of (process, message id) gets it again.
struct StoredAnswer {
  std::string process;
  std::string message_id;
  std::string body_digest;  // of the received body in JCS; another digest is another message
  int status = 0;
  std::string body;
  bool operator==(const StoredAnswer&) const = default;
};

// A record that must reach the log exactly once. `log_size` is the durable size of the log when the
// draft was committed: recovery looks for `event` from there on.
struct DraftRow {
  std::string event;
  std::uint64_t log_size = 0;
  std::string draft;  // JSON of audit::RecordDraft
  bool operator==(const DraftRow&) const = default;
};

// Where the log stood: its durable size and the leaf hash of the last record (hex; empty at 0).
struct LogMark {
  std::uint64_t size = 0;
  std::string leaf;
  bool operator==(const LogMark&) const = default;
};

// Applied whole or not at all.
struct Transaction {
  std::vector<Row> puts;                        // fails with conflict when a version does not match
  std::vector<Row> erases;                      // kind, id, version
  std::vector<OutgoingMessage> messages;        // inserted, or updated by id
  std::vector<std::string> delivered_messages;  // ids, removed
  std::optional<StoredAnswer> answer;
  std::vector<DraftRow> drafts;
  std::vector<std::string> logged_events;  // drafts that the log has now, removed
  LogMark mark;                            // stored with every transaction (never lowered)
};

class Store {
 public:
  virtual ~Store() = default;

  // Durable on return (synchronous=FULL). Errors: conflict (store.version-mismatch), unavailable
  // (store.failed: the store stays failed until a restart). Completes on the awaiting executor.
  virtual awaitable<Result<void>> commit(Transaction transaction) = 0;

  // Reads see everything committed before. They block for microseconds and are for the home thread.
  virtual Result<std::optional<Row>> row(std::string_view kind, std::string_view id) = 0;
  // In order of id. An empty `state` or `owner` means any; `after` and `most` page.
  struct Query {
    std::string kind;
    std::string state;
    std::string owner;
    std::string after;
    std::size_t most = 100;
  };
  virtual Result<std::vector<Row>> rows(const Query& query) = 0;
  // In order of creation.
  virtual Result<std::vector<OutgoingMessage>> messages() = 0;
  virtual Result<std::optional<StoredAnswer>> answer(
      std::string_view process, std::string_view message_id
  ) = 0;
  virtual Result<std::vector<DraftRow>> drafts() = 0;
  virtual Result<LogMark> mark() = 0;
};

// Every row of a kind, in one state where one is named, in order of id; read page by page. Errors:
// those of Store::rows.
Result<std::vector<Row>> all_rows(Store& store, std::string_view kind, std::string_view state = {});

}  // namespace tally
