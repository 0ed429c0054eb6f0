#include "tally/store/sqlite_store.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

#include <boost/asio/async_result.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include "tally/core/descriptor.hpp"
#include "tally/store/folder_version.hpp"

#include "database_file.hpp"
#include "frozen.hpp"
#include "sqlite.hpp"
#include "sqlite_reader.hpp"
#include "sqlite_writer.hpp"

namespace tally::store {

namespace {

using sqlite::Connection;
using sqlite::Failure;
using sqlite::Reader;
using sqlite::Statement;
using sqlite::Writer;

namespace asio = boost::asio;

constexpr const char* schema = R"(
CREATE TABLE row (
  kind TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
  state TEXT NOT NULL, owner TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (kind, id)) STRICT;
CREATE INDEX row_state ON row (kind, state, id);
CREATE INDEX row_owner ON row (kind, owner, id);
CREATE TABLE message (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE, process TEXT NOT NULL,
  to_domain TEXT NOT NULL, to_uri TEXT NOT NULL,
  method TEXT NOT NULL, url TEXT NOT NULL, headers TEXT NOT NULL, body TEXT NOT NULL,
  created_s INTEGER NOT NULL, created_n INTEGER NOT NULL,
  next_s INTEGER NOT NULL, next_n INTEGER NOT NULL,
  attempts INTEGER NOT NULL, last_answer TEXT NOT NULL) STRICT;
CREATE TABLE answer (
  process TEXT NOT NULL, message_id TEXT NOT NULL, body_digest TEXT NOT NULL,
  status INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (process, message_id)) STRICT;
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  event TEXT NOT NULL UNIQUE, log_size INTEGER NOT NULL, draft TEXT NOT NULL) STRICT;
CREATE TABLE mark (
  one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, leaf TEXT NOT NULL) STRICT;
INSERT INTO mark VALUES (1, 0, '');
)";

// Pages of the writer while there is work: rows of contracts lie all over their indexes.
constexpr int writer_kib = 4096;
// How long there is no work until they are given back: the budget of the idle daemon is small.
constexpr std::chrono::seconds rest{2};
// So much of the write-ahead log before it is written back: a page that changes again until then is
// written once. After a crash this is what a start reads.
constexpr const char* checkpoint_at = "PRAGMA wal_autocheckpoint=4000";

// A unit that waits for its commit, and how its coroutine goes on. `executor` counts as work, so
// that the context does not end while the writer is at it.
struct Waiting {
  Transaction unit;
  asio::any_io_executor executor;
  std::function<void(Result<void>)> resume;
};

// What has to see the store at rest, and how its coroutine goes on.
struct Looking {
  std::function<void()> look;
  asio::any_io_executor executor;
  std::function<void()> resume;
};

struct Outcome {
  std::function<void(Result<void>)> resume;
  Result<void> result;
};

tl::unexpected<Error> version_mismatch(const Row& row) {
  return fail(
      ErrorKind::conflict,
      {"store.version-mismatch",
       {{"kind", row.kind}, {"id", row.id}, {"version", std::to_string(row.version)}}}
  );
}

}  // namespace

struct SqliteStore::State {
  State(Options options_, Notices& notices_, Descriptor lock_)
      : options(std::move(options_)), notices(notices_), lock(std::move(lock_)) {}

  Options options;
  Notices& notices;
  Descriptor lock;  // held as long as the store lives
  std::unique_ptr<Connection> write_connection;
  std::unique_ptr<Writer> writer;

  std::mutex read_mutex;
  std::unique_ptr<Connection> read_connection;  // read_mutex
  std::unique_ptr<Reader> reader;               // read_mutex

  std::mutex queue_mutex;
  std::condition_variable queue_filled;
  std::deque<Waiting> queue;  // queue_mutex
  std::deque<Looking> looks;  // queue_mutex
  bool stopping = false;      // queue_mutex

  std::atomic<Health> health{Health::good};
  std::atomic<std::uint64_t> committed{0}, conflicts{0}, failed{0};  // units
  std::string failed_reason;                                         // writer thread

  [[nodiscard]] std::filesystem::path reserve_file() const { return options.folder / "reserve"; }
  void open_database();
  void keep_reserve();
  bool give_up_reserve();
  void look();
  std::vector<Result<void>> commit_batch(const std::vector<Waiting>& batch);
  std::vector<Result<void>> try_batch(const std::vector<Waiting>& batch);
  void fail_for_good(const Failure& failure);
  void count(const Result<void>& outcome);

  template <class Read>
  auto read(Read&& what) -> Result<decltype(what(*reader))> {
    const std::lock_guard guard(read_mutex);
    try {
      return what(*reader);
    } catch (const Failure& failure) {
      return read_failed(failure);
    }
  }
};

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(Options options, Notices& notices) {
  const std::string folder = options.folder.string();
  if (!std::filesystem::is_directory(options.folder)) {
    return fail(ErrorKind::invalid, {"store.folder-missing", {{"folder", folder}}});
  }
  auto lock = lock_folder(options.folder);
  if (!lock) return fail(std::move(lock));
  if (auto known = check_folder_version(options.folder); !known) return fail(std::move(known));
  const std::string file = database_file(options.folder);
  // Created here, since SQLite would take the umask, and gives its WAL the mode of this file.
  // Closed again before SQLite opens it: closing any descriptor of a file drops the process's locks
  // on it.
  { const Descriptor created(::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)); }

  auto state = std::make_unique<State>(std::move(options), notices, std::move(*lock));
  try {
    state->open_database();
    if (auto ours = check_database(*state->write_connection, file); !ours) {
      return fail(std::move(ours));
    }
    state->writer = std::make_unique<Writer>(*state->write_connection);
    state->read_connection = std::make_unique<Connection>(
        file, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, state->options.vfs
    );
    bound_memory(*state->read_connection, 256);
    state->reader = std::make_unique<Reader>(*state->read_connection);
  } catch (const Failure& failure) {
    return fail(
        ErrorKind::unavailable, {"store.open-failed", {{"file", file}, {"reason", failure.what()}}}
    );
  }
  if (auto marked = mark_folder_version(state->options.folder); !marked) {
    return fail(std::move(marked));
  }
  state->keep_reserve();
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(state)));
}

void SqliteStore::State::open_database() {
  const std::string file = database_file(options.folder);
  write_connection =
      std::make_unique<Connection>(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, options.vfs);
  bound_memory(*write_connection, writer_kib);
  // What another program or a newer version wrote is looked at, never touched.
  const std::int64_t tables = write_connection->number("SELECT count(*) FROM sqlite_schema");
  const bool empty = tables == 0 && write_connection->number("PRAGMA application_id") == 0;
  const bool ours = write_connection->number("PRAGMA application_id") == application_id &&
                    write_connection->number("PRAGMA user_version") == schema_version;
  if (!empty && !ours) return;
  write_connection->execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
  write_connection->execute(checkpoint_at);
  if (!empty) return;
  write_connection->execute("BEGIN IMMEDIATE");
  write_connection->execute(schema);
  write_connection->execute(("PRAGMA application_id=" + std::to_string(application_id)).c_str());
  write_connection->execute(("PRAGMA user_version=" + std::to_string(schema_version)).c_str());
  write_connection->execute("COMMIT");
}

void SqliteStore::State::keep_reserve() {
  if (options.reserve_bytes == 0) return;
  const Descriptor file(::open(reserve_file().c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  const auto size = static_cast<off_t>(options.reserve_bytes);
  if (file.get() >= 0 && ::posix_fallocate(file.get(), 0, size) == 0) return;
  give_up_reserve();
}

// True if there was one to give up.
bool SqliteStore::State::give_up_reserve() {
  const bool had = ::unlink(reserve_file().c_str()) == 0;
  Health good = Health::good;
  if (health.compare_exchange_strong(good, Health::low_space)) {
    notices.note(Severity::error, {"store.low-space", {{"folder", options.folder.string()}}});
  }
  return had;
}

void SqliteStore::State::fail_for_good(const Failure& failure) {
  failed_reason = failure.what();
  health = Health::failed;
  notices.note(Severity::error, {"store.failed", {{"reason", failed_reason}}});
}

// One SQLite transaction for the batch. Throws Failure, with everything rolled back.
std::vector<Result<void>> SqliteStore::State::try_batch(const std::vector<Waiting>& batch) {
  std::vector<Result<void>> results;
  results.reserve(batch.size());
  try {
    writer->begin();
    for (const Waiting& waiting : batch) {
      const std::optional<Row> mismatch = writer->apply_whole(waiting.unit);
      if (mismatch) {
        results.emplace_back(version_mismatch(*mismatch));
      } else {
        results.emplace_back();
      }
    }
    writer->commit();
  } catch (const Failure&) {
    // SQLite may have rolled back by itself (disk full, I/O error).
    if (write_connection->in_transaction()) {
      sqlite3_exec(write_connection->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
    throw;
  }
  return results;
}

std::vector<Result<void>> SqliteStore::State::commit_batch(const std::vector<Waiting>& batch) {
  if (health != Health::failed) {
    try {
      return try_batch(batch);
    } catch (const Failure& failure) {
      // A full disk is the one failure that is tried again: nothing was synced, and the reserve is
      // there so that terminations and destructions still find room.
      if (!failure.disk_full() || !give_up_reserve()) fail_for_good(failure);
    }
  }
  if (health != Health::failed) {
    try {
      return try_batch(batch);
    } catch (const Failure& failure) {
      fail_for_good(failure);
    }
  }
  const Result<void> lost =
      fail(ErrorKind::unavailable, {"store.failed", {{"reason", failed_reason}}});
  return {batch.size(), lost};
}

void SqliteStore::State::count(const Result<void>& outcome) {
  if (outcome) {
    ++committed;
  } else {
    ++(outcome.error().kind == ErrorKind::conflict ? conflicts : failed);
  }
}

SqliteStore::SqliteStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
SqliteStore::~SqliteStore() = default;

awaitable<Result<void>> SqliteStore::commit(Transaction transaction) {
  const auto plain = co_await asio::this_coro::executor;
  asio::any_io_executor executor = asio::prefer(plain, asio::execution::outstanding_work.tracked);
  auto initiate = [this, &transaction, &executor](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    auto resume = [shared](Result<void> result) { std::move (*shared)(std::move(result)); };
    {
      const std::lock_guard guard(state_->queue_mutex);
      state_->queue.push_back({std::move(transaction), std::move(executor), std::move(resume)});
    }
    state_->queue_filled.notify_one();
  };
  auto done = asio::async_initiate<const asio::use_awaitable_t<>&, void(Result<void>)>(
      std::move(initiate), asio::use_awaitable
  );
  co_return co_await std::move(done);
}

awaitable<Result<std::unique_ptr<Frozen>>> SqliteStore::freeze(std::function<void()> meanwhile) {
  const auto plain = co_await asio::this_coro::executor;
  asio::any_io_executor executor = asio::prefer(plain, asio::execution::outstanding_work.tracked);
  Result<std::unique_ptr<Frozen>> frozen = nullptr;
  std::function<void()> look = [this, &frozen, &meanwhile] {
    const auto& options = state_->options;
    frozen = freeze_database(database_file(options.folder), options.vfs);
    meanwhile();
  };
  auto initiate = [this, &look, &executor](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    auto resume = [shared] { std::move (*shared)(); };
    {
      const std::lock_guard guard(state_->queue_mutex);
      state_->looks.push_back({std::move(look), std::move(executor), std::move(resume)});
    }
    state_->queue_filled.notify_one();
  };
  auto done = asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      std::move(initiate), asio::use_awaitable
  );
  co_await std::move(done);
  co_return std::move(frozen);
}

void SqliteStore::State::look() {
  std::deque<Looking> now;
  {
    const std::lock_guard guard(queue_mutex);
    now.swap(looks);
  }
  for (Looking& one : now) {
    one.look();
    asio::post(one.executor, std::move(one.resume));
  }
}

std::size_t SqliteStore::commit_pending() {
  state_->look();
  std::vector<Waiting> batch;
  {
    const std::lock_guard guard(state_->queue_mutex);
    while (!state_->queue.empty() && batch.size() < state_->options.batch) {
      batch.push_back(std::move(state_->queue.front()));
      state_->queue.pop_front();
    }
  }
  if (batch.empty()) return 0;
  std::vector<Result<void>> results = state_->commit_batch(batch);
  for (const auto& result : results) state_->count(result);

  struct Group {
    asio::any_io_executor executor;
    std::vector<Outcome> outcomes;
  };
  std::vector<Group> groups;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    auto group = groups.begin();
    while (group != groups.end() && group->executor != batch[i].executor) ++group;
    if (group == groups.end()) group = groups.insert(group, {batch[i].executor, {}});
    group->outcomes.push_back({std::move(batch[i].resume), std::move(results[i])});
  }
  for (Group& group : groups) {
    auto resume_all = [outcomes = std::move(group.outcomes)]() mutable {
      for (Outcome& outcome : outcomes) outcome.resume(std::move(outcome.result));
    };
    asio::post(group.executor, std::move(resume_all));
  }
  return batch.size();
}

Result<void> SqliteStore::begin_log(const LogMark& mark, const Transaction& change) {
  State& state = *state_;
  Connection& connection = *state.write_connection;
  try {
    connection.execute("BEGIN IMMEDIATE");
    connection.execute("DELETE FROM outbox");
    Statement replace(connection, "UPDATE mark SET size = ?, leaf = ?");
    Statement::Use(replace, sqlite::signed_of(mark.size), mark.leaf).run();
    const std::optional<Row> mismatch = state.writer->apply(change);
    connection.execute(mismatch ? "ROLLBACK" : "COMMIT");
    if (!mismatch) return {};
    return version_mismatch(*mismatch);
  } catch (const Failure& failure) {
    if (connection.in_transaction()) {
      sqlite3_exec(connection.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
    state.fail_for_good(failure);
    return fail(ErrorKind::unavailable, {"store.failed", {{"reason", state.failed_reason}}});
  }
}

bool SqliteStore::wait_for_pending() {
  std::unique_lock guard(state_->queue_mutex);
  const auto wanted = [this] {
    return state_->stopping || !state_->queue.empty() || !state_->looks.empty();
  };
  if (!state_->queue_filled.wait_for(guard, rest, wanted)) {
    guard.unlock();
    sqlite3_db_release_memory(state_->write_connection->handle());
    malloc_trim(0);
    guard.lock();
    state_->queue_filled.wait(guard, wanted);
  }
  return !state_->stopping;
}

void SqliteStore::stop_waiting() {
  {
    const std::lock_guard guard(state_->queue_mutex);
    state_->stopping = true;
  }
  state_->queue_filled.notify_all();
}

StoreFigures SqliteStore::figures() const {
  return {state_->committed, state_->conflicts, state_->failed};
}

Health SqliteStore::health() const {
  return state_->health;
}

Result<std::optional<Row>> SqliteStore::row(std::string_view kind, std::string_view id) {
  return state_->read([&](Reader& reader) { return reader.row(kind, id); });
}

Result<std::vector<Row>> SqliteStore::rows(const Query& query) {
  return state_->read([&](Reader& reader) { return reader.rows(query); });
}

Result<std::vector<OutgoingMessage>> SqliteStore::messages() {
  return state_->read([](Reader& reader) { return reader.messages(); });
}

Result<std::optional<StoredAnswer>> SqliteStore::answer(
    std::string_view process, std::string_view message_id
) {
  return state_->read([&](Reader& reader) { return reader.answer(process, message_id); });
}

Result<std::vector<DraftRow>> SqliteStore::drafts() {
  return state_->read([](Reader& reader) { return reader.drafts(); });
}

Result<LogMark> SqliteStore::mark() {
  return state_->read([](Reader& reader) { return reader.mark(); });
}

struct StoreThread::State {
  SqliteStore& store;
  std::thread thread;
};

StoreThread::StoreThread(SqliteStore& store) : state_(new State{store, {}}) {
  state_->thread = std::thread([&store] {
    while (store.wait_for_pending()) store.commit_pending();
    while (store.commit_pending() > 0) {
    }
  });
}

StoreThread::~StoreThread() {
  state_->store.stop_waiting();
  state_->thread.join();
}

}  // namespace tally::store
