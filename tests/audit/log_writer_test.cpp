#include "tally/audit/log_writer.hpp"

#include <deque>
#include <fstream>
#include <thread>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>

#include <nlohmann/json.hpp>

#include "tally/audit/posix.hpp"

#include "audit/log_format.hpp"
#include "log_fixture.hpp"
#include "support/temp_dir.hpp"

namespace tally::audit {
namespace {

class LogWriterTest : public LogTest {};

EventId numbered_event(int n) {
  std::string digits = std::to_string(n);
  return EventId("01900000-0000-7000-8000-" + std::string(12 - digits.size(), '0') + digits);
}

// Written by tests/data/audit/make_vectors.py, which shares no code with the program.
TEST_F(LogWriterTest, WritesTheBytesThatASecondImplementationWrites) {
  std::ifstream file(std::string(TALLY_SOURCE_DIR) + "/tests/data/audit/vectors.json");
  const Json vectors = Json::parse(file);
  // The event id of a genesis is drawn at random: take the one of the vectors.
  FrameBuilder frame;
  frame.start(0);
  frame.begin_record() += vectors["records"][0].get<std::string>();
  const Digest leaf = leaf_hash(frame.end_record());
  {
    const auto storage = open_log(disk);
    auto segment = storage->create(segment_name(0));
    ASSERT_TRUE(segment);
    ASSERT_TRUE((*segment)->write_at(0, as_bytes(frame.finish())));
    ASSERT_TRUE((*segment)->sync());
    ASSERT_TRUE(
        storage->replace_small(head_file, to_text(Head{vectors["origin"], {1, to_hex(leaf)}}))
    );
  }
  limits.log_ahead_bytes = 0;
  LogLife life = live();
  ASSERT_TRUE(life.writer);
  clock.at = {1'772'352'001, 0};
  life.writer->enqueue(RecordDraft("log.opened", numbered_event(1)));
  ASSERT_TRUE(life.writer->commit_batch());
  clock.at = {1'772'352'002, 0};
  const auto permit = [](int n, const char* agreement) {
    RecordDraft draft("use.permitted", numbered_event(n));
    draft.about(AgreementId(agreement))
        .set("action", "read")
        .set_canonical("decision", R"({"outcome":"permit"})")
        .set_canonical("rules", R"([{"id":"r1","n":1,"unit":"use"}])");
    return draft;
  };
  life.writer->enqueue(permit(2, "urn:uuid:a"));
  RecordDraft with_purpose = permit(3, "urn:uuid:b");
  life.writer->enqueue(with_purpose.set("purpose", "研究 \"1\"\n\x1f"));
  RecordDraft abort("use.aborted", numbered_event(4));
  abort.about(AgreementId("urn:uuid:a")).set("use", numbered_event(2).value);
  Ticket last = life.writer->enqueue(std::move(abort));
  ASSERT_TRUE(life.writer->commit_batch());
  const auto appended = life.wait(std::move(last));
  ASSERT_TRUE(appended);
  EXPECT_EQ(to_hex(appended->leaf), vectors["leaves"][4].get<std::string>());
  EXPECT_EQ(appended->seq, 4U);
  ASSERT_TRUE(life.writer->close());

  const auto files = files_of(disk);
  const auto& segment = files.at(vectors["segment_name"]);
  EXPECT_EQ(to_hex(segment), vectors["segment_hex"].get<std::string>());
  const auto& head = files.at("head");
  EXPECT_EQ(std::string(head.begin(), head.end()), vectors["head"].get<std::string>());
  EXPECT_EQ(verify().verdict, Verdict::whole) << describe(verify());
}

TEST_F(LogWriterTest, OneSyncCarriesEverythingThatWasQueued) {
  create();
  LogLife life = live();
  std::vector<Ticket> tickets;
  tickets.reserve(100);
  for (int i = 0; i < 100; ++i) tickets.push_back(life.enqueue("use.permitted", "urn:a:1"));
  const auto syncs = disk.syncs();
  EXPECT_TRUE(life.writer->commit_batch());
  EXPECT_EQ(disk.syncs(), syncs + 1);
  EXPECT_FALSE(life.writer->commit_batch());
  for (std::uint64_t i = 0; i < 100; ++i) {
    const auto appended = life.wait(std::move(tickets[i]));
    ASSERT_TRUE(appended);
    EXPECT_EQ(appended->seq, i + 1);
  }
  EXPECT_EQ(life.writer->mark().size, 101U);
}

TEST_F(LogWriterTest, ABatchKeepsToItsLimits) {
  create();
  limits.log_batch_records = 10;
  limits.log_batch_bytes = 4096;
  LogLife life = live();
  for (int i = 0; i < 25; ++i) life.enqueue("log.heartbeat");
  int batches = 0;
  while (life.writer->commit_batch()) ++batches;
  EXPECT_GE(batches, 3);
  EXPECT_EQ(life.writer->mark().size, 26U);
  ASSERT_TRUE(life.writer->close());
  EXPECT_EQ(verify().verdict, Verdict::whole);
}

TEST_F(LogWriterTest, EachAgreementHasItsOwnUnbrokenSequence) {
  fill(300);
  std::map<std::string, std::pair<std::uint64_t, std::string>> heads;
  const auto storage = open_log(disk);
  const auto each = [&heads](const RecordView& record) {
    if (record.agreement.empty()) return;
    auto& [aseq, leaf] = heads[record.agreement];
    const Json json = record.json();
    EXPECT_EQ(json["aseq"].get<std::uint64_t>(), ++aseq);
    EXPECT_EQ(json["aprev"].get<std::string>(), leaf.empty() ? std::string(64, '0') : leaf);
    leaf = to_hex(record.leaf);
  };
  ASSERT_TRUE(for_each_record(*storage, 0, each));
  EXPECT_EQ(heads.size(), 3U);
  std::uint64_t from_200 = 0;
  ASSERT_TRUE(for_each_record(*storage, 200, [&from_200](const RecordView& record) {
    if (from_200 == 0) {
      EXPECT_EQ(record.seq, 200U);
    }
    ++from_200;
  }));
  EXPECT_EQ(from_200, 100U);
  // Segments rolled over, and a restart continues where the last one ended.
  EXPECT_GE(files_of(disk).size(), 3U);
  LogLife again = live();
  ASSERT_TRUE(again.writer);
  EXPECT_EQ(again.append("use.permitted", "urn:a:1")->seq, 300U);
  ASSERT_TRUE(again.writer->close());
  EXPECT_EQ(verify().verdict, Verdict::whole) << describe(verify());
}

// What each log.heads record ought to say, from the records before it.
std::vector<std::string> wrong_heads(LogStorage& storage, std::size_t& seen) {
  std::vector<std::pair<AgreementId, AgreementHead>> heads;
  std::vector<std::string> wrong;
  seen = 0;
  const auto each = [&](const RecordView& view) {
    if (view.type == "log.heads") {
      ++seen;
      const Json record = view.json();
      const auto map = HeadsMap::make(heads).value();
      if (record["root"] != digest_text(map.root()) || record["count"] != heads.size()) {
        wrong.emplace_back(view.text);
      }
    }
    if (view.agreement.empty()) return;
    auto at = heads.begin();
    while (at != heads.end() && at->first.value != view.agreement) ++at;
    if (at == heads.end()) at = heads.insert(at, {AgreementId(view.agreement), {}});
    at->second = {at->second.aseq + 1, view.leaf, view.seq + 1};
  };
  EXPECT_TRUE(for_each_record(storage, 0, each));
  return wrong;
}

TEST_F(LogWriterTest, FillsInTheHeadsAsOfJustBeforeTheirRecord) {
  create();
  std::size_t seen = 0;
  {
    LogLife life = live();
    EXPECT_TRUE(life.writer->heads_due());
    // Within one batch: the place decides, not the batch.
    life.enqueue("log.heads");
    life.enqueue("use.permitted", "urn:a:1");
    life.enqueue("log.heads");
    life.enqueue("use.permitted", "urn:a:2");
    life.enqueue("use.permitted", "urn:a:1");
    life.enqueue("log.heads");
    life.writer->commit_batch();
    EXPECT_FALSE(life.writer->heads_due());
    EXPECT_EQ(wrong_heads(*life.storage, seen), std::vector<std::string>{});
    EXPECT_EQ(seen, 3U);
    ASSERT_TRUE(life.writer->close());
  }
  {
    LogLife life = live();
    EXPECT_FALSE(life.writer->heads_due());
    ASSERT_TRUE(life.append("log.heads"));  // from what recovery read
    RecordDraft witnessed("checkpoint.witnessed", new_event(life.random, clock.at));
    witnessed.set("peer", "clinic.example/log/1");
    life.writer->enqueue(witnessed);
    life.writer->commit_batch();
    EXPECT_FALSE(life.writer->heads_due());
    ASSERT_TRUE(life.append("log.heartbeat"));
    EXPECT_TRUE(life.writer->heads_due());
    ASSERT_TRUE(life.writer->close());
  }
  LogLife life = live();
  EXPECT_TRUE(life.writer->heads_due());
  EXPECT_EQ(wrong_heads(*life.storage, seen), std::vector<std::string>{});
  EXPECT_EQ(seen, 4U);
  EXPECT_EQ(verify().verdict, Verdict::whole);

  // Nobody else says what the root is.
  RecordDraft draft("log.heads", new_event(life.random, clock.at));
  draft.set("root", Digest{});
  const auto refused = life.wait(life.writer->enqueue(draft));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.code, "audit.draft-invalid");
}

TEST_F(LogWriterTest, TimeNeverGoesBackAndTheRecordSaysWhenItWasHeld) {
  create();
  LogLife life = live();
  clock.at = clock.at + seconds(10);
  life.append("log.heartbeat");
  clock.at = clock.at + seconds(-5);
  life.append("log.heartbeat");
  clock.reliable = false;
  life.append("log.heartbeat");
  clock.reliable = true;
  clock.at = clock.at + seconds(60);
  life.append("log.heartbeat");
  std::vector<std::pair<std::string, std::string>> seen;
  const auto each = [&seen](const RecordView& record) {
    seen.emplace_back(record.time, record.raw("clock"));
  };
  ASSERT_TRUE(for_each_record(*life.storage, 0, each));
  ASSERT_EQ(seen.size(), 5U);
  EXPECT_EQ(seen[1].second, "");
  EXPECT_EQ(seen[2], std::pair(seen[1].first, std::string("\"held\"")));
  EXPECT_EQ(seen[3], std::pair(seen[1].first, std::string("\"unreliable\"")));
  EXPECT_EQ(seen[4].second, "");
  EXPECT_GT(seen[4].first, seen[3].first);
}

TEST_F(LogWriterTest, EveryRecordOfATestLogSaysSo) {
  create(true);
  LogLife life = live();
  life.append("log.heartbeat");
  life.append("use.permitted", "urn:a:1");
  ASSERT_TRUE(life.writer->close());
  const auto each = [](const RecordView& record) { EXPECT_EQ(record.raw("clock"), "\"test\""); };
  ASSERT_TRUE(for_each_record(*life.storage, 0, each));
  const auto report = verify();
  EXPECT_EQ(report.verdict, Verdict::whole);
  EXPECT_TRUE(report.genesis->test);
  EXPECT_EQ(report.notes.front().code, "audit.verify-test-log");
}

TEST_F(LogWriterTest, RefusesDraftsThatAreNoRecordsAndWritesNothingOfThem) {
  create();
  LogLife life = live();
  const EventId event = numbered_event(1);
  const auto code_of = [&life](RecordDraft draft) {
    Ticket ticket = life.writer->enqueue(std::move(draft));
    const auto result = life.wait(std::move(ticket));
    return result ? std::string("written") : result.error().message.code;
  };
  EXPECT_EQ(code_of(RecordDraft("use.invented", event)), "audit.draft-type-unknown");
  EXPECT_EQ(code_of(RecordDraft("log.genesis", event)), "audit.draft-type-unknown");
  EXPECT_EQ(code_of(RecordDraft("use.aborted", event)), "audit.draft-incomplete");
  const auto with = [&event](const char* key, const char* value) {
    return RecordDraft("log.opened", event).set_canonical(key, value);
  };
  EXPECT_EQ(code_of(with("seq", "1")), "audit.draft-invalid");
  EXPECT_EQ(code_of(with("prev", "\"x\"")), "audit.draft-invalid");
  EXPECT_EQ(code_of(with("x", "1.5")), "audit.draft-invalid");
  EXPECT_EQ(code_of(with("x", "{\"b\":1,\"a\":1}")), "audit.draft-invalid");
  EXPECT_EQ(code_of(with("x", "1,\"y\":2")), "audit.draft-invalid");
  EXPECT_EQ(code_of(with("x\",\"y", "1")), "audit.draft-invalid");
  EXPECT_EQ(code_of(with("", "1")), "audit.draft-invalid");
  RecordDraft latin("log.opened", event);
  EXPECT_EQ(code_of(latin.set("x", "\xff")), "audit.draft-invalid");
  RecordDraft large("log.opened", event);
  EXPECT_EQ(code_of(large.set("x", std::string(16 << 10, 'x'))), "audit.draft-too-large");
  EXPECT_FALSE(life.writer->commit_batch());
  EXPECT_FALSE(life.writer->failed());
  // The largest that fits.
  RecordDraft fits("log.opened", event);
  fits.set("x", std::string(15'900, 'x'));
  Ticket ticket = life.writer->enqueue(std::move(fits));
  ASSERT_TRUE(life.writer->commit_batch());
  EXPECT_TRUE(life.wait(std::move(ticket)));
}

TEST_F(LogWriterTest, TheFirstFailedWriteOrSyncIsFinal) {
  create();
  for (const bool at_sync : {false, true}) {
    LogLife life = live();
    ASSERT_TRUE(life.writer);
    ASSERT_TRUE(life.append("log.heartbeat"));
    const LogMark before = life.writer->mark();
    if (at_sync) {
      disk.fail_sync(1);
    } else {
      disk.fail_write(1);
    }
    Ticket waiting = life.enqueue("log.heartbeat");
    Ticket second = life.enqueue("log.heartbeat");
    ASSERT_TRUE(life.writer->commit_batch());
    const auto result = life.wait(std::move(waiting));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::unavailable);
    EXPECT_EQ(result.error().message.code, "audit.log-failed");
    EXPECT_FALSE(life.wait(std::move(second)));
    // The disk works again, the writer does not.
    disk.mend();
    const auto writes = disk.writes();
    Ticket later = life.enqueue("log.heartbeat");
    EXPECT_FALSE(life.writer->commit_batch());
    EXPECT_FALSE(life.writer->fill_ahead());
    EXPECT_FALSE(life.writer->close());
    EXPECT_FALSE(life.wait(std::move(later)));
    EXPECT_TRUE(life.writer->failed());
    EXPECT_TRUE(life.writer->failure());
    EXPECT_EQ(disk.writes(), writes);
    EXPECT_EQ(life.writer->mark().size, before.size);
  }
}

TEST_F(LogWriterTest, TheReserveIsForEndingsOnly) {
  create();
  limits.log_ahead_bytes = 300 << 10;
  limits.log_segment_bytes = 1 << 20;
  limits.log_fill_bytes = 16 << 10;
  LogLife life = live();
  while (life.writer->fill_ahead()) {
  }
  ASSERT_TRUE(life.append("log.heartbeat"));
  disk.set_free(0);
  // What was filled ahead is room; when it comes near the reserve, ordinary work stops.
  Result<Appended> last = life.append("log.heartbeat");
  int more = 0;
  while (last && more < 10'000) {
    last = life.append("log.heartbeat");
    ++more;
  }
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().message.code, "audit.disk-reserve");
  EXPECT_TRUE(life.writer->on_reserve());
  EXPECT_FALSE(life.writer->failed());
  for (int i = 0; i < 20; ++i) {
    RecordDraft draft("obligation.due", new_event(random, clock.at));
    draft.about(AgreementId("urn:a:1")).set("rule", "r1");
    Ticket ending = life.writer->enqueue(std::move(draft), Priority::reserved);
    Ticket ordinary = life.enqueue("log.heartbeat");
    ASSERT_TRUE(life.writer->commit_batch());
    EXPECT_TRUE(life.wait(std::move(ending)));
    EXPECT_FALSE(life.wait(std::move(ordinary)));
  }
  // Room again: no restart is needed, since nothing failed.
  disk.set_free(std::nullopt);
  EXPECT_TRUE(life.append("log.heartbeat"));
  EXPECT_FALSE(life.writer->on_reserve());
  ASSERT_TRUE(life.writer->close());
  EXPECT_EQ(verify().verdict, Verdict::whole) << describe(verify());
}

TEST_F(LogWriterTest, ResultsComeByAPostNeverInline) {
  create();
  LogLife life = live();
  Ticket ticket = life.enqueue("log.heartbeat");
  bool resumed = false;
  auto waiter = [](LogWriter* writer, Ticket of, bool* done) -> awaitable<void> {
    auto result = co_await writer->wait(std::move(of));
    EXPECT_TRUE(result);
    *done = true;
  };
  boost::asio::co_spawn(
      life.context, waiter(life.writer.get(), std::move(ticket), &resumed), boost::asio::detached
  );
  life.context.poll();
  life.writer->commit_batch();
  EXPECT_FALSE(resumed);
  life.context.restart();
  EXPECT_EQ(life.context.poll(), 1U);
  EXPECT_TRUE(resumed);
}

TEST_F(LogWriterTest, AllWaitersOfABatchOnOneExecutorComeWithOnePost) {
  create();
  LogLife life = live();
  int resumed = 0;
  auto waiter = [](LogWriter* writer, Ticket of, int* done) -> awaitable<void> {
    auto result = co_await writer->wait(std::move(of));
    EXPECT_TRUE(result);
    ++*done;
  };
  for (int i = 0; i < 50; ++i) {
    Ticket ticket = life.enqueue("log.heartbeat");
    boost::asio::co_spawn(
        life.context, waiter(life.writer.get(), std::move(ticket), &resumed), boost::asio::detached
    );
  }
  life.context.poll();
  life.writer->commit_batch();
  life.context.restart();
  EXPECT_EQ(life.context.poll_one(), 1U);
  EXPECT_EQ(resumed, 50);
}

TEST_F(LogWriterTest, AWaitCanBeCancelledAndTheRecordStands) {
  create();
  LogLife life = live();
  Ticket ticket = life.enqueue("log.heartbeat");
  std::string code;
  auto both = [](LogWriter* writer, Ticket of, std::string* out) -> awaitable<void> {
    using namespace boost::asio::experimental::awaitable_operators;
    auto at_once = []() -> awaitable<void> {
      co_await boost::asio::post(boost::asio::use_awaitable);
    };
    auto result = co_await (writer->wait(std::move(of)) || at_once());
    *out = result.index() == 1 ? "cancelled" : "appended";
  };
  boost::asio::co_spawn(
      life.context, both(life.writer.get(), std::move(ticket), &code), boost::asio::detached
  );
  life.context.run();
  EXPECT_EQ(code, "cancelled");
  EXPECT_TRUE(life.writer->commit_batch());
  EXPECT_EQ(life.writer->mark().size, 2U);
}

TEST_F(LogWriterTest, EndsWithWaitersAndLeaksNothing) {
  create();
  LogLife life = live();
  auto waiter = [](LogWriter* writer, Ticket of) -> awaitable<void> {
    auto result = co_await writer->wait(std::move(of));
    ADD_FAILURE() << "nobody may come back";
  };
  Ticket ticket = life.enqueue("log.heartbeat");
  boost::asio::co_spawn(
      life.context, waiter(life.writer.get(), std::move(ticket)), boost::asio::detached
  );
  life.context.poll();
  life.writer.reset();
}

TEST_F(LogWriterTest, AlwaysOneWriter) {
  create();
  LogLife first = live();
  ASSERT_TRUE(first.writer);
  LogLife second = live();
  ASSERT_TRUE(second.error);
  EXPECT_EQ(second.error->message.code, "audit.log-locked");
}

// Real files, a real thread, many producers.
TEST(LogThreadTest, ManyThreadsAppendAndEachIsAnsweredOnce) {
  testing::TempDir dir;
  ManualClock clock;
  CountingRandom random;
  Limits limits;
  limits.log_segment_bytes = 1 << 20;
  limits.log_ahead_bytes = 256 << 10;
  limits.log_fill_bytes = 64 << 10;
  {
    auto storage = open_log_folder(dir.path(), FolderAccess::writable);
    ASSERT_TRUE(storage);
    ASSERT_TRUE(create_log(**storage, test_genesis(), clock, random));
  }
  auto storage = open_log_folder(dir.path(), FolderAccess::writable);
  auto recovered = recover(**storage, {});
  ASSERT_TRUE(recovered);
  LogWriter writer(**storage, *std::move(recovered), clock, random, limits);
  constexpr int threads = 4;
  constexpr int coroutines = 8;
  constexpr int each = 100;
  std::atomic<int> answered{0};
  // They outlive the log's thread, which may still be inside a post when a context runs dry.
  std::deque<boost::asio::io_context> contexts;
  for (int t = 0; t < threads; ++t) contexts.emplace_back(1);
  {
    LogThread thread(writer);
    auto producer = [](LogWriter* log, int of, std::atomic<int>* count) -> awaitable<void> {
      for (int i = 0; i < each; ++i) {
        char event[40];
        std::snprintf(event, sizeof event, "01900000-0000-7000-8000-%06x%06x", of, i);
        RecordDraft draft("use.permitted", EventId(event));
        draft.about(AgreementId("urn:a:" + std::to_string(of % 3)))
            .set("action", "read")
            .set_canonical("decision", "{}")
            .set_canonical("rules", "[]");
        auto appended = co_await append(*log, std::move(draft));
        if (appended) ++*count;
      }
    };
    std::vector<std::thread> pool;
    pool.reserve(threads);
    for (int t = 0; t < threads; ++t) {
      pool.emplace_back([&writer, &answered, &producer, &contexts, t] {
        boost::asio::io_context& context = contexts[static_cast<std::size_t>(t)];
        for (int c = 0; c < coroutines; ++c) {
          boost::asio::co_spawn(
              context, producer(&writer, t * coroutines + c, &answered), boost::asio::detached
          );
        }
        context.run();
      });
    }
    for (std::thread& one : pool) one.join();
  }
  EXPECT_EQ(answered, threads * coroutines * each);
  EXPECT_EQ(writer.mark().size, 1U + threads * coroutines * each);
  ASSERT_TRUE(writer.close());
  auto reader = open_log_folder(dir.path(), FolderAccess::read_only);
  const auto report = verify_log(**reader);
  EXPECT_EQ(report.verdict, Verdict::whole) << describe(report);
  EXPECT_EQ(report.records, 1U + threads * coroutines * each);
}

TEST(PosixLogStorage, RefusesASecondWriterAndAMissingFolder) {
  testing::TempDir dir;
  auto first = open_log_folder(dir.path(), FolderAccess::writable);
  auto second = open_log_folder(dir.path(), FolderAccess::writable);
  ASSERT_TRUE((*first)->lock());
  const auto refused = (*second)->lock();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.code, "audit.log-locked");
  EXPECT_FALSE(open_log_folder(dir / "missing", FolderAccess::read_only));
  auto reader = open_log_folder(dir.path(), FolderAccess::read_only);
  EXPECT_FALSE((*reader)->create("x"));
  EXPECT_FALSE((*reader)->replace_small("x", "y"));
  const auto none = recover(**first, {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message.code, "audit.log-missing");
}

TEST(PosixLogStorage, ReplacesASmallFileAsAWhole) {
  testing::TempDir dir;
  auto storage = open_log_folder(dir.path(), FolderAccess::writable);
  EXPECT_FALSE((*storage)->read_small("head")->has_value());
  ASSERT_TRUE((*storage)->replace_small("head", "one"));
  ASSERT_TRUE((*storage)->replace_small("head", "two"));
  EXPECT_EQ(**(*storage)->read_small("head"), "two");
  EXPECT_EQ(*(*storage)->list(), std::vector<std::string>{"head"});
  ASSERT_TRUE((*storage)->remove("head"));
  EXPECT_TRUE((*storage)->list()->empty());
}

}  // namespace
}  // namespace tally::audit
