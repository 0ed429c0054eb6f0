// The store in one SQLite file: WAL, synchronous=FULL, STRICT tables, one writer.
//
// Waiting transactions are batched into one SQLite transaction with a SAVEPOINT for each, so that
// one sync serves all of them and a version that does not match fails its own unit only. The step
// function `commit_pending` does that; StoreThread calls it in production, a test calls it itself.
// The first failed write or sync makes the store failed for good: only a restart leaves the state.
//
// Threading: `commit` from any executor; reads take a lock of microseconds on a connection of their
// own; `commit_pending` from one thread. Contexts that await a commit outlive the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "tally/core/notices.hpp"
#include "tally/core/store.hpp"

namespace tally::store {

constexpr int schema_version = 1;

enum class Health {
  good,
  low_space,  // the disk was full and the reserve has been given up: stop taking new work
  failed,
};

// What became of the transactions since the store was opened.
struct StoreFigures {
  std::uint64_t committed = 0;
  std::uint64_t conflicts = 0;  // a version did not match: decided again by who committed
  std::uint64_t failed = 0;
};

// The database as it was at one moment, whatever is committed meanwhile. It keeps the write-ahead
// log from shrinking: let it go soon. One thread at a time.
class Frozen {
 public:
  virtual ~Frozen() = default;
  // Writes it as one plain database file that is not there yet; durable on return, but for its
  // name. Blocks. Errors: unavailable (store.copy-failed).
  virtual Result<void> write(const std::filesystem::path& file) = 0;
};

class SqliteStore final : public Store {
 public:
  struct Options {
    std::filesystem::path folder;         // holds tally.db; created by `tally init`, not here
    std::size_t batch = 256;              // units in one SQLite transaction
    std::size_t reserve_bytes = 2 << 20;  // kept free for the acts that end things; 0 = none
    std::string vfs;                      // SQLite's default when empty; tests make one that fails
  };

  // Locks the folder against a second process, creates the schema, notes the version of the program
  // in the folder. Errors: invalid (store.folder-missing, store.newer-folder,
  // store.version-malformed, store.newer-schema, store.not-ours), conflict (store.locked),
  // unavailable (store.open-failed).
  static Result<std::unique_ptr<SqliteStore>> open(Options options, Notices& notices);
  ~SqliteStore() override;  // commits nothing; who still waits is never resumed
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  // Not cancelled by its cancellation slot: the outcome of a commit has to be known.
  awaitable<Result<void>> commit(Transaction transaction) override;
  Result<std::optional<Row>> row(std::string_view kind, std::string_view id) override;
  Result<std::vector<Row>> rows(const Query& query) override;
  Result<std::vector<OutgoingMessage>> messages() override;
  Result<std::optional<StoredAnswer>> answer(std::string_view process, std::string_view message_id)
      override;
  Result<std::vector<DraftRow>> drafts() override;
  Result<LogMark> mark() override;

  // Commits what waits, at most one batch, and posts the outcomes: one post for each executor.
  // Returns how many units it took.
  std::size_t commit_pending();
  // Blocks until something waits or `stop_waiting` was called; false after the latter. For the one
  // thread that commits: after two seconds of rest it gives the pages back that it worked with.
  bool wait_for_pending();
  void stop_waiting();

  // The store at a moment between two of its transactions. Nothing is committed while `meanwhile`
  // runs, on the thread that commits: what it reads belongs to the same moment. Errors: unavailable
  // (store.read-failed).
  awaitable<Result<std::unique_ptr<Frozen>>> freeze(std::function<void()> meanwhile);

  // The log beside this store is another one from here on: applies `change` with `mark` in place of
  // the one before, and without the drafts that were for the log before. Whole or not at all,
  // durable on return. For the one caller that has the store to itself: no thread commits. Errors:
  // conflict (store.version-mismatch), unavailable (store.failed).
  Result<void> begin_log(const LogMark& mark, const Transaction& change);

  [[nodiscard]] Health health() const;         // any thread
  [[nodiscard]] StoreFigures figures() const;  // any thread

 private:
  struct State;
  explicit SqliteStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The store of a folder as it stands now, beside a running daemon too: every read sees the same
// state, that of the first one, and a commit is refused (internal store.read-only). Takes no lock
// that a daemon would wait for. Errors: not_found (store.none), invalid (store.newer-folder,
// store.version-malformed, store.newer-schema, store.not-ours), unavailable (store.open-failed).
Result<std::unique_ptr<Store>> open_read_only(const std::filesystem::path& folder);

// The database of a folder whose connector does not run, and cannot start before this is let go.
// Nothing in the folder is changed, so a newer program may look at what an older one is to open
// again. Errors: not_found (store.none), invalid (store.newer-folder, store.version-malformed),
// conflict (store.locked), unavailable (store.open-failed, store.read-failed).
Result<std::unique_ptr<Frozen>> freeze_stopped(const std::filesystem::path& folder);

// The thread that pumps `commit_pending`. Stops in the destructor after what waits is committed.
class StoreThread {
 public:
  explicit StoreThread(SqliteStore& store);
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::store
