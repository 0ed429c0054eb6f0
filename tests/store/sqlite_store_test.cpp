#include "tally/store/sqlite_store.hpp"

#include <fstream>
#include <set>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "failing_vfs.hpp"
#include "support/temp_dir.hpp"

namespace tally::store {
namespace {

namespace asio = boost::asio;

class NotedCodes : public Notices {
 public:
  void note(Severity, const Message& message) override { codes.insert(message.code); }
  std::set<std::string> codes;
};

Row row(std::string kind, std::string id, std::uint64_t version, std::string body) {
  return {std::move(kind), std::move(id), version, "open", "agreement-1", std::move(body)};
}

Transaction put(Row one) {
  Transaction unit;
  unit.puts.push_back(std::move(one));
  return unit;
}

class SqliteStoreTest : public ::testing::Test {
 protected:
  SqliteStoreTest() {
    disk().syncs_left = disk().writes_left = -1;
    disk().full = false;
  }

  static testing::DiskFaults& disk() { return testing::disk_faults(); }

  Result<std::unique_ptr<SqliteStore>> try_open() {
    SqliteStore::Options options;
    options.folder = folder_.path();
    options.reserve_bytes = 64 << 10;
    options.vfs = "tally-failing";
    return SqliteStore::open(std::move(options), notices_);
  }

  void open() {
    store_.reset();
    auto opened = try_open();
    ASSERT_TRUE(opened) << opened.error().message.code << render(opened.error().message, Lang::en);
    store_ = std::move(*opened);
  }

  // Commits the units in one batch and gives their outcomes.
  std::vector<Result<void>> commit_all(std::vector<Transaction> units) {
    asio::io_context context{1};
    std::vector<Result<void>> results(units.size());
    for (std::size_t i = 0; i < units.size(); ++i) {
      asio::co_spawn(context, commit_one(std::move(units[i]), results[i]), asio::detached);
    }
    context.poll();
    EXPECT_EQ(store_->commit_pending(), results.size());
    context.run();
    return results;
  }

  Result<void> commit(Transaction unit) {
    std::vector<Transaction> units;
    units.push_back(std::move(unit));
    return commit_all(std::move(units)).front();
  }

  awaitable<void> commit_one(Transaction unit, Result<void>& result) {
    result = co_await store_->commit(std::move(unit));
  }

  testing::TempDir folder_;
  NotedCodes notices_;
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(SqliteStoreTest, WhatWasCommittedIsThereAfterReopening) {
  open();
  Transaction unit = put(row("agreement", "a", 0, "{\"x\":\"甲\"}"));
  OutgoingMessage message;
  message.id = "m1";
  message.process = "p1";
  message.to = {"trust-a", "did:web:b.example"};
  message.method = "POST";
  message.url = "https://b.example/x";
  message.headers = "{}";
  message.body = std::string("body\0with zero", 14);
  message.created = {100, 5};
  message.next_attempt = {101, 999'999'999};
  message.attempts = 3;
  message.last_answer = "503";
  unit.messages.push_back(message);
  unit.answer = StoredAnswer{"p1", "in1", "digest", 201, "answer"};
  unit.drafts.push_back({"event-1", 17, "{}"});
  unit.mark = {18, "leaf18"};
  ASSERT_TRUE(commit(std::move(unit)));

  open();
  const auto found = store_->row("agreement", "a");
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->version, 1U);
  EXPECT_EQ((*found)->body, "{\"x\":\"甲\"}");
  EXPECT_EQ((*found)->owner, "agreement-1");
  const auto messages = store_->messages();
  ASSERT_EQ(messages->size(), 1U);
  EXPECT_EQ(messages->front().to, message.to);
  EXPECT_EQ(messages->front().body, message.body);
  EXPECT_EQ(messages->front().next_attempt, message.next_attempt);
  EXPECT_EQ(messages->front().attempts, 3U);
  const auto answer = store_->answer("p1", "in1");
  ASSERT_TRUE(answer && *answer);
  EXPECT_EQ((*answer)->status, 201);
  EXPECT_FALSE(*store_->answer("p1", "in2"));
  ASSERT_EQ(store_->drafts()->size(), 1U);
  EXPECT_EQ(store_->drafts()->front().log_size, 17U);
  EXPECT_EQ(store_->mark()->leaf, "leaf18");

  Transaction done;
  done.delivered_messages = {"m1"};
  done.logged_events = {"event-1"};
  ASSERT_TRUE(commit(std::move(done)));
  EXPECT_TRUE(store_->messages()->empty());
  EXPECT_TRUE(store_->drafts()->empty());
}

TEST_F(SqliteStoreTest, AVersionThatDoesNotMatchFailsItsUnitWholeAndNoOther) {
  open();
  ASSERT_TRUE(commit(put(row("transfer", "t", 0, "1"))));
  std::vector<Transaction> units;
  units.push_back(put(row("transfer", "other", 0, "1")));
  Transaction stale = put(row("transfer", "third", 0, "1"));  // applied before the stale row
  stale.puts.push_back(row("transfer", "t", 7, "2"));
  stale.drafts.push_back({"event", 1, "{}"});
  units.push_back(std::move(stale));
  units.push_back(put(row("transfer", "t", 1, "2")));
  units.push_back(put(row("transfer", "t", 1, "3")));  // lost the race within the batch
  units.push_back(put(row("transfer", "t", 0, "4")));  // exists already
  Transaction erase;
  erase.erases.push_back(row("transfer", "absent", 1, ""));
  units.push_back(std::move(erase));

  const auto results = commit_all(std::move(units));
  const std::vector<bool> wanted = {true, false, true, false, false, false};
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(results[i].has_value(), wanted[i]) << i;
    if (!results[i]) {
      EXPECT_EQ(results[i].error().kind, ErrorKind::conflict);
      EXPECT_EQ(results[i].error().message.code, "store.version-mismatch");
    }
  }
  EXPECT_EQ((*store_->row("transfer", "t"))->body, "2");
  EXPECT_EQ((*store_->row("transfer", "t"))->version, 2U);
  EXPECT_FALSE(*store_->row("transfer", "third"));
  EXPECT_TRUE(store_->drafts()->empty());
}

TEST_F(SqliteStoreTest, OneSyncServesAWholeBatch) {
  open();
  ASSERT_TRUE(commit(put(row("x", "warm", 0, ""))));
  const long before = disk().syncs;
  ASSERT_TRUE(commit(put(row("x", "one", 0, ""))));
  const long for_one = disk().syncs - before;
  EXPECT_GE(for_one, 1);  // synchronous=FULL: acknowledged means synced
  std::vector<Transaction> units;
  for (int i = 0; i < 50; ++i) units.push_back(put(row("x", std::to_string(i), 0, "")));
  const long middle = disk().syncs;
  for (const auto& result : commit_all(std::move(units))) EXPECT_TRUE(result);
  EXPECT_EQ(disk().syncs - middle, for_one);
}

TEST_F(SqliteStoreTest, QueriesFilterByStateAndOwnerInOrderAndPage) {
  open();
  std::vector<Transaction> units;
  for (int i = 0; i < 9; ++i) {
    Row one = row("offer", "o" + std::to_string(i), 0, "");
    one.state = i % 2 == 0 ? "live" : "withdrawn";
    one.owner = i < 6 ? "alpha" : "beta";
    units.push_back(put(one));
  }
  units.push_back(put(row("asset", "o0", 0, "")));
  for (const auto& result : commit_all(std::move(units))) ASSERT_TRUE(result);
  const auto ids = [&](const Store::Query& query) {
    std::string text;
    const auto rows = store_->rows(query);
    for (const Row& one : *rows) text += one.id;
    return text;
  };
  EXPECT_EQ(ids({"offer", "", "", "", 100}), "o0o1o2o3o4o5o6o7o8");
  EXPECT_EQ(ids({"offer", "live", "", "", 100}), "o0o2o4o6o8");
  EXPECT_EQ(ids({"offer", "", "beta", "", 100}), "o6o7o8");
  EXPECT_EQ(ids({"offer", "withdrawn", "alpha", "", 100}), "o1o3o5");
  EXPECT_EQ(ids({"offer", "", "", "o2", 3}), "o3o4o5");
}

TEST_F(SqliteStoreTest, MessagesKeepTheirPlaceWhenAnAttemptIsNoted) {
  open();
  Transaction unit;
  for (const char* id : {"z", "a", "m"}) {
    OutgoingMessage message;
    message.id = id;
    unit.messages.push_back(message);
  }
  ASSERT_TRUE(commit(std::move(unit)));
  Transaction again;
  again.messages.push_back(store_->messages()->front());
  again.messages.front().attempts = 1;
  ASSERT_TRUE(commit(std::move(again)));
  const auto messages = store_->messages();
  ASSERT_EQ(messages->size(), 3U);
  EXPECT_EQ((*messages)[0].id, "z");
  EXPECT_EQ((*messages)[0].attempts, 1U);
  EXPECT_EQ((*messages)[2].id, "m");
}

TEST_F(SqliteStoreTest, TheMarkNeverFalls) {
  open();
  for (const std::uint64_t size : {5U, 3U, 9U, 9U}) {
    Transaction unit;
    unit.mark = {size, "leaf" + std::to_string(size)};
    ASSERT_TRUE(commit(std::move(unit)));
  }
  EXPECT_EQ(store_->mark()->size, 9U);
  EXPECT_EQ(store_->mark()->leaf, "leaf9");
}

// Beside the store that holds the lock: what was committed before the first read, and no later.
TEST_F(SqliteStoreTest, AnotherLogTakesThePlaceOfTheMarkAndOfTheDraftsAtOnce) {
  open();
  Transaction before = put(row("agreement", "a", 0, "{}"));
  before.drafts.push_back({"event-1", 7, "{}"});
  before.mark = {9, "aa"};
  ASSERT_TRUE(commit(before));
  Transaction change = put(row("agreement", "a", 7, "{}"));
  change.drafts.push_back({"event-2", 1, "{}"});
  // A version that does not match fails all of it.
  const auto refused = store_->begin_log({1, "bb"}, change);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.code, "store.version-mismatch");
  EXPECT_EQ(store_->mark()->size, 9U);
  EXPECT_EQ(store_->drafts()->front().event, "event-1");
  change.puts.front().version = 1;
  ASSERT_TRUE(store_->begin_log({1, "bb"}, change));
  open();
  EXPECT_EQ(*store_->mark(), (LogMark{1, "bb"}));
  ASSERT_EQ(store_->drafts()->size(), 1U);
  EXPECT_EQ(store_->drafts()->front().event, "event-2");
}

TEST_F(SqliteStoreTest, IsReadBesideItsOwnerAsOfOneState) {
  EXPECT_EQ(open_read_only(folder_.path()).error().message.code, "store.none");
  open();
  ASSERT_TRUE(commit(put(row("a", "1", 0, "one"))));
  const auto view = open_read_only(folder_.path());
  ASSERT_TRUE(view) << view.error().message.code;
  EXPECT_EQ((*view)->row("a", "1").value()->body, "one");
  ASSERT_TRUE(commit(put(row("a", "2", 0, "two"))));
  EXPECT_FALSE((*view)->row("a", "2").value());
  Store::Query query;
  query.kind = "a";
  EXPECT_EQ((*view)->rows(query).value().size(), 1U);
  EXPECT_TRUE(store_->row("a", "2").value());
  store_.reset();
  EXPECT_TRUE((*open_read_only(folder_.path()))->row("a", "2").value());
}

TEST_F(SqliteStoreTest, ASecondStoreOnTheFolderIsRefused) {
  open();
  const auto second = try_open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message.code, "store.locked");
}

TEST_F(SqliteStoreTest, ANewerSchemaIsRefusedByNameAndLeftAsItIs) {
  open();
  store_.reset();
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ / "tally.db").c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "PRAGMA user_version=99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  const auto opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message.code, "store.newer-schema");
  EXPECT_EQ(opened.error().message.params.at("found"), "99");
}

TEST_F(SqliteStoreTest, ADatabaseOfAnotherProgramIsRefused) {
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ / "tally.db").c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "CREATE TABLE t (x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  const auto opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message.code, "store.not-ours");
}

TEST_F(SqliteStoreTest, AFrozenStoreIsOfOneMomentAndAtThatMomentNothingIsCommitted) {
  open();
  ASSERT_TRUE(commit(put(row("x", "before", 0, "b"))));
  asio::io_context context{1};
  std::unique_ptr<Frozen> frozen;
  std::size_t meanwhile = 0;
  Result<void> late = fail(ErrorKind::internal, {"core.internal", {}});
  auto look = [&]() -> awaitable<void> {
    std::function<void()> count = [&] { meanwhile = store_->rows({.kind = "x"})->size(); };
    auto made = co_await store_->freeze(std::move(count));
    EXPECT_TRUE(made);
    if (made) frozen = std::move(*made);
  };
  asio::co_spawn(context, look(), asio::detached);
  // Waits already, and comes behind the moment all the same.
  asio::co_spawn(context, commit_one(put(row("x", "late", 0, "l")), late), asio::detached);
  context.poll();
  EXPECT_EQ(store_->commit_pending(), 1u);
  context.run();
  EXPECT_TRUE(late);
  EXPECT_EQ(meanwhile, 1u);
  ASSERT_TRUE(commit(put(row("x", "after", 0, "a"))));

  const testing::TempDir copy;
  ASSERT_TRUE(frozen);
  ASSERT_TRUE(frozen->write(copy / "tally.db"));
  const auto read = open_read_only(copy.path());
  ASSERT_TRUE(read);
  EXPECT_EQ((*read)->rows({.kind = "x"})->size(), 1u);
  // One plain file, for its owner alone.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(copy.path()), {}), std::ptrdiff_t{1});
  EXPECT_EQ(
      std::filesystem::status(copy / "tally.db").permissions(),
      std::filesystem::perms::owner_read | std::filesystem::perms::owner_write
  );
  const auto again = frozen->write(copy / "tally.db");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message.code, "store.copy-failed");
}

TEST_F(SqliteStoreTest, AFolderOfANewerFormatIsRefusedByNameAndLeftAlone) {
  open();
  store_.reset();
  const auto write = [this](const std::string& text) {
    std::ofstream(folder_ / "version.json", std::ios::trunc) << text;
  };
  const auto file_time = [this] { return std::filesystem::last_write_time(folder_ / "tally.db"); };
  const auto before = file_time();
  write(R"({"format":2,"program":"9.8.7"})");
  const auto read = open_read_only(folder_.path());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message.code, "store.newer-folder");
  const auto opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message.code, "store.newer-folder");
  EXPECT_EQ(opened.error().message.params.at("program"), "9.8.7");
  EXPECT_EQ(opened.error().message.params.at("format"), "2");
  EXPECT_EQ(file_time(), before);
  for (const char* text : {"", "{}", "[1]", R"({"format":"1","program":"x"})", "{\"format\":1}"}) {
    write(text);
    const auto malformed = try_open();
    ASSERT_FALSE(malformed) << text;
    EXPECT_EQ(malformed.error().message.code, "store.version-malformed");
  }
  // Of another version in a format that is known: it says from now on who wrote last.
  write(R"({"format":1,"program":"0.0.1"})");
  ASSERT_TRUE(try_open());
  std::ifstream file(folder_ / "version.json");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(text.find("0.0.1"), std::string::npos);
  EXPECT_NE(text.find("\"format\":1"), std::string::npos);
}

TEST_F(SqliteStoreTest, AMissingFolderIsNotCreated) {
  SqliteStore::Options options;
  options.folder = folder_ / "absent";
  const auto opened = SqliteStore::open(std::move(options), notices_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message.code, "store.folder-missing");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "absent"));
}

// Each write and each sync of a commit fails in turn: what was acknowledged is there afterwards,
// what was refused may be, and after the first failure nothing is acknowledged any more.
TEST_F(SqliteStoreTest, AfterTheFirstFailedWriteOrSyncNothingIsAcknowledged) {
  for (const bool sync : {false, true}) {
    for (long step = 0; step < 8; ++step) {
      open();
      const std::string before = (sync ? "s" : "w") + std::to_string(step) + "before";
      ASSERT_TRUE(commit(put(row("x", before, 0, ""))));
      (sync ? disk().syncs_left : disk().writes_left) = step;
      const std::string body(20'000, 'b');
      bool failed = false;
      std::set<std::string> acknowledged;
      for (int i = 0; i < 12; ++i) {
        const std::string id = before + std::to_string(i);
        const auto result = commit(put(row("x", id, 0, body)));
        if (result) {
          EXPECT_FALSE(failed) << "acknowledged after a failure";
          acknowledged.insert(id);
          continue;
        }
        failed = true;
        EXPECT_EQ(result.error().message.code, "store.failed");
        EXPECT_EQ(result.error().kind, ErrorKind::unavailable);
      }
      EXPECT_TRUE(failed);
      EXPECT_EQ(store_->health(), Health::failed);
      disk().syncs_left = disk().writes_left = -1;  // the disk recovers: the store does not
      EXPECT_FALSE(commit(put(row("x", before + "late", 0, ""))));
      open();
      EXPECT_EQ(store_->health(), Health::good);
      for (const std::string& id : acknowledged) EXPECT_TRUE(*store_->row("x", id)) << id;
      EXPECT_TRUE(*store_->row("x", before));
      EXPECT_FALSE(*store_->row("x", before + "late"));
    }
  }
}

TEST_F(SqliteStoreTest, AFullDiskGivesUpTheReserveAndTheCommitIsTriedOnceMore) {
  open();
  const auto reserve = folder_ / "reserve";
  EXPECT_EQ(std::filesystem::file_size(reserve), 64U << 10);
  disk().full = true;
  disk().writes_left = 0;
  // The second attempt meets the same full disk here, so it fails for good; that the reserve went
  // and that there was a second attempt is what shows.
  EXPECT_FALSE(commit(put(row("x", "1", 0, ""))));
  EXPECT_FALSE(std::filesystem::exists(reserve));
  EXPECT_TRUE(notices_.codes.contains("store.low-space"));
  EXPECT_EQ(store_->health(), Health::failed);
  disk().writes_left = -1;
  open();
  EXPECT_TRUE(std::filesystem::exists(reserve));
}

// The disk is full exactly as long as the reserve stands.
TEST_F(SqliteStoreTest, WithTheReserveGoneTheUnitThatMetTheFullDiskIsStored) {
  open();
  disk().full = true;
  disk().writes_left = 0;
  disk().heal_when_missing = (folder_ / "reserve").string();
  EXPECT_TRUE(commit(put(row("x", "1", 0, ""))));
  disk().heal_when_missing.clear();
  EXPECT_EQ(store_->health(), Health::low_space);
  EXPECT_TRUE(*store_->row("x", "1"));
}

TEST_F(SqliteStoreTest, TheThreadServesManyContextsAndCommitsWhatWaitsBeforeItStops) {
  open();
  constexpr int contexts = 3;
  constexpr int each = 60;
  std::vector<int> stored(contexts);
  {
    StoreThread pump(*store_);
    std::vector<std::thread> threads;
    for (int c = 0; c < contexts; ++c) {
      threads.emplace_back([&, c] {
        asio::io_context context{1};
        for (int i = 0; i < each; ++i) {
          auto task = [](SqliteStore& store, int context_number, int number, int& count
                      ) -> awaitable<void> {
            Transaction unit =
                put(row("x", std::to_string(context_number) + "-" + std::to_string(number), 0, ""));
            const auto result = co_await store.commit(std::move(unit));
            if (result) ++count;
          };
          asio::co_spawn(
              context, task(*store_, c, i, stored[static_cast<std::size_t>(c)]), asio::detached
          );
        }
        context.run();
      });
    }
    for (auto& thread : threads) thread.join();
  }
  for (const int count : stored) EXPECT_EQ(count, each);
  EXPECT_EQ(store_->rows({"x", "", "", "", 1000})->size(), std::size_t{contexts} * each);
}

TEST_F(SqliteStoreTest, TheFilesAreForTheOwnerAlone) {
  open();
  ASSERT_TRUE(commit(put(row("x", "1", 0, ""))));
  for (const char* name : {"tally.db", "tally.db-wal", "lock", "reserve"}) {
    const auto mode = std::filesystem::status(folder_ / name).permissions();
    EXPECT_EQ(static_cast<int>(mode) & 0077, 0) << name;
  }
}

}  // namespace
}  // namespace tally::store
