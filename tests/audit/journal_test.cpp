#include "tally/audit/journal.hpp"

#include "log_fixture.hpp"

namespace tally::audit {
namespace {

// A store that keeps transactions whole, and fails when told to.
class ListStore final : public Store {
 public:
  std::vector<DraftRow> outbox;
  std::vector<Row> rows_put;
  LogMark last_mark;
  bool fails = false;

  awaitable<Result<void>> commit(Transaction transaction) override {
    if (fails) co_return fail(ErrorKind::unavailable, {"store.failed", {}});
    for (const std::string& event : transaction.logged_events) {
      std::erase_if(outbox, [&event](const DraftRow& row) { return row.event == event; });
    }
    for (DraftRow& row : transaction.drafts) outbox.push_back(std::move(row));
    for (Row& row : transaction.puts) rows_put.push_back(std::move(row));
    last_mark = transaction.mark;
    co_return Result<void>();
  }
  Result<std::optional<Row>> row(std::string_view, std::string_view) override {
    return std::optional<Row>();
  }
  Result<std::vector<Row>> rows(const Query&) override { return std::vector<Row>(); }
  Result<std::vector<OutgoingMessage>> messages() override {
    return std::vector<OutgoingMessage>();
  }
  Result<std::optional<StoredAnswer>> answer(std::string_view, std::string_view) override {
    return std::optional<StoredAnswer>();
  }
  Result<std::vector<DraftRow>> drafts() override { return outbox; }
  Result<LogMark> mark() override { return last_mark; }
};

class JournalTest : public LogTest {
 protected:
  ListStore store;

  std::vector<RecordDraft> two_drafts() {
    std::vector<RecordDraft> drafts;
    drafts.emplace_back("log.opened", new_event(random, clock.at));
    drafts.emplace_back("log.heartbeat", new_event(random, clock.at));
    return drafts;
  }
  // Runs a commit while a pump plays the log's thread.
  template <class T>
  T run_pumped(LogLife& life, awaitable<T> task) {
    bool stop = false;
    auto pump = [](LogWriter* writer, bool* done) -> awaitable<void> {
      while (!*done) {
        writer->commit_batch();
        co_await boost::asio::post(
            co_await boost::asio::this_coro::executor, boost::asio::use_awaitable
        );
      }
    };
    auto wrapped = [](awaitable<T> inner, bool* done) -> awaitable<T> {
      auto value = co_await std::move(inner);
      *done = true;
      co_return value;
    };
    boost::asio::co_spawn(life.context, pump(life.writer.get(), &stop), boost::asio::detached);
    return run(life.context, wrapped(std::move(task), &stop));
  }
  std::map<std::string, int> events() {
    std::map<std::string, int> found;
    const auto storage = open_log(disk);
    const auto each = [&found](const RecordView& record) { ++found[std::string(record.event)]; };
    EXPECT_TRUE(for_each_record(*storage, 0, each));
    return found;
  }
};

TEST_F(JournalTest, StateIsCommittedFirstAndItsRecordsAreDurableOnReturn) {
  create();
  LogLife life = live();
  Journal journal(store, *life.writer);
  Transaction transaction;
  transaction.puts.push_back({"asset", "a", 0, "", "", "{}"});
  auto drafts = two_drafts();
  const auto done = run_pumped(life, journal.commit(std::move(transaction), drafts));
  ASSERT_TRUE(done);
  ASSERT_EQ(done->size(), 2U);
  EXPECT_EQ((*done)[0].seq, 1U);
  EXPECT_EQ((*done)[1].seq, 2U);
  EXPECT_EQ(store.rows_put.size(), 1U);
  EXPECT_EQ(store.last_mark.size, 1U);
  ASSERT_EQ(store.outbox.size(), 2U);  // cleared lazily
  EXPECT_EQ(store.outbox[0].log_size, 1U);

  const auto next = run_pumped(life, journal.commit({}, {}));
  ASSERT_TRUE(next);
  EXPECT_TRUE(store.outbox.empty());
  EXPECT_EQ(store.last_mark.size, 3U);
}

TEST_F(JournalTest, SettledWaitsForTheRecordsOfEveryCommitUnderWay) {
  create();
  LogLife life = live();
  Journal journal(store, *life.writer);
  bool committed = false;
  bool settled = false;
  const auto commit = [](Journal* into, std::vector<RecordDraft> drafts, bool* done
                      ) -> awaitable<void> {
    Transaction transaction;
    transaction.puts.push_back({"asset", "a", 0, "", "", "{}"});
    EXPECT_TRUE(co_await into->commit(std::move(transaction), std::move(drafts)));
    *done = true;
  };
  const auto settle = [](Journal* of, bool* done) -> awaitable<void> {
    co_await of->settled();
    *done = true;
  };
  boost::asio::co_spawn(
      life.context, commit(&journal, two_drafts(), &committed), boost::asio::detached
  );
  life.context.poll();
  ASSERT_EQ(store.rows_put.size(), 1U);  // the state stands, its records wait for the log's thread
  boost::asio::co_spawn(life.context, settle(&journal, &settled), boost::asio::detached);
  life.context.restart();
  life.context.poll();
  EXPECT_FALSE(settled);

  life.writer->commit_batch();
  life.context.restart();
  life.context.poll();
  EXPECT_TRUE(committed);
  EXPECT_TRUE(settled);

  bool idle = false;  // with nothing under way there is nothing to wait for
  boost::asio::co_spawn(life.context, settle(&journal, &idle), boost::asio::detached);
  life.context.restart();
  life.context.poll();
  EXPECT_TRUE(idle);
}

TEST_F(JournalTest, AFailedStoreLeavesTheLogUntouchedAndAFailedLogStopsTheStore) {
  create();
  LogLife life = live();
  Journal journal(store, *life.writer);
  store.fails = true;
  EXPECT_FALSE(run_pumped(life, journal.commit({}, two_drafts())));
  EXPECT_EQ(life.writer->mark().size, 1U);
  store.fails = false;
  disk.fail_sync(1);
  const auto unknown = run_pumped(life, journal.commit({}, two_drafts()));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(store.outbox.size(), 2U);
  EXPECT_FALSE(run_pumped(life, journal.commit({}, two_drafts())));
  EXPECT_EQ(store.outbox.size(), 2U) << "no state moves once it cannot be recorded";
}

TEST_F(JournalTest, AStoreFromBeforeAChangeThatItAloneKeepsIsNamed) {
  create();
  const auto check = [this](const ListStore& older) {
    OutboxSearch search(older.outbox, older.last_mark);
    LogLife life(disk, clock, limits, older.last_mark, [&](const RecordView& r) { search.see(r); });
    EXPECT_TRUE(life.writer);
    return search.check_store();
  };
  const auto commit = [this](const char* type) {
    LogLife life = live();
    Journal journal(store, *life.writer);
    std::vector<RecordDraft> drafts;
    drafts.emplace_back(type, new_event(random, {1'772'352'000, 0}));
    drafts.back().set("hold", "h").set("by", "x").set_canonical("scope", "{}");
    ASSERT_TRUE(run_pumped(life, journal.commit({}, std::move(drafts))));
  };
  const ListStore older = store;
  EXPECT_TRUE(check(older));
  commit("log.heartbeat");  // what the log heals, or says by itself
  EXPECT_TRUE(check(older));
  EXPECT_TRUE(check(store));
  commit("hold.placed");
  EXPECT_TRUE(check(store));  // the draft waits in its outbox
  const auto lost = check(older);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().message.code, "audit.store-older");
  EXPECT_EQ(lost.error().message.params.at("type"), "hold.placed");
  EXPECT_EQ(lost.error().message.params.at("seq"), "2");
}

// A cut between the store's commit and the log, or between the log and the next commit: after the
// restart each event stands in the log exactly once.
TEST_F(JournalTest, ARestartAppendsExactlyWhatTheLogLacks) {
  create();
  std::vector<std::string> wanted;
  for (int cut = 0; cut < 4; ++cut) {
    {
      LogLife life = live();
      ASSERT_TRUE(life.writer);
      Journal journal(store, *life.writer);
      auto drafts = two_drafts();
      for (const RecordDraft& draft : drafts) wanted.push_back(draft.event().value);
      if (cut % 2 == 0) {
        disk.fail_write(1);  // the log never gets them
        EXPECT_FALSE(run_pumped(life, journal.commit({}, drafts)));
        disk.mend();
      } else {
        ASSERT_TRUE(run_pumped(life, journal.commit({}, drafts)));
      }
      EXPECT_EQ(store.outbox.size(), 2U);
    }
    disk.cut_power();
    disk.power_on();
    OutboxSearch search(*store.drafts(), store.last_mark);
    LogLife life(disk, clock, limits, store.last_mark, [&search](const RecordView& r) {
      search.see(r);
    });
    ASSERT_TRUE(life.writer);
    Journal journal(store, *life.writer);
    ASSERT_TRUE(run_pumped(life, journal.replay(std::move(search))));
    EXPECT_TRUE(store.outbox.empty());
  }
  const auto found = events();
  for (const std::string& event : wanted) EXPECT_EQ(found.at(event), 1) << event;
  EXPECT_EQ(verify().verdict, Verdict::whole) << describe(verify());
}

}  // namespace
}  // namespace tally::audit
