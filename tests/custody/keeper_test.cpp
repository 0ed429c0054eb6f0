#include "tally/custody/keeper.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "custody/held.hpp"

namespace tally::custody {
namespace {

using test::Machine;

constexpr Instant start_of_world = sim::World::default_start;

std::string in(std::int64_t hours) {
  return format_seconds(start_of_world + seconds(hours * 3600));
}

// One permission to use until `end` ("" for ever), with these duties.
odrl::PolicyPtr policy_until(const std::string& end, Json duties = Json::array()) {
  Json permission = {{"uid", "urn:test:rule"}, {"action", "use"}};
  if (!end.empty()) {
    permission["constraint"] = Json::array({usage::test::atom("dateTime", "lt", end)});
  }
  if (!duties.empty()) permission["duty"] = std::move(duties);
  const Json document = {
      {"@context", "http://www.w3.org/ns/odrl.jsonld"},
      {"@type", "Agreement"},
      {"uid", "urn:test:policy"},
      {"assigner", usage::test::provider.uri},
      {"assignee", usage::test::consumer.uri},
      {"target", "urn:test:cohort"},
      {"permission", Json::array({permission})},
  };
  auto loaded = odrl::load_policy(document);
  if (loaded) return *loaded;
  std::string why;
  for (const auto& problem : loaded.error()) {
    why += problem.pointer + " " + render(problem.message, Lang::en) + "\n";
  }
  throw std::runtime_error(why);
}

Json delete_duty(Json constraint = nullptr) {
  Json duty = {{"uid", "urn:test:duty"}, {"action", "delete"}};
  if (!constraint.is_null()) duty["constraint"] = Json::array({std::move(constraint)});
  return Json::array({std::move(duty)});
}

class KeeperTest : public ::testing::Test {
 protected:
  explicit KeeperTest(std::uint64_t seed = 1) : m(seed) {}

  void agree(
      const std::string& id, odrl::PolicyPtr policy, odrl::Side side = odrl::Side::consumer
  ) {
    m.rig.agree(usage::test::terms(id, std::move(policy), side));
  }

  // What a pull leaves behind.
  void hold(const std::string& id, const std::string& agreement) {
    custody::hold(m, id, agreement, "data of " + id);
  }

  bool is_held(const std::string& id) { return m.run(m.custody->held(ArtefactId(id))).value(); }
  void hours(std::int64_t n) { m.rig.world.run_for(seconds(n * 3600)); }

  // The types of an agreement's records in order, without those of uses.
  std::string story(const std::string& agreement) {
    std::string text;
    for (const auto& record : m.rig.records()) {
      if (record.agreement == agreement && !record.type.starts_with("use.")) {
        text += record.type + " ";
      }
    }
    return text;
  }
  void run_keeper() {
    boost::asio::co_spawn(m.rig.node->executor(), m.keeper->run(), [](std::exception_ptr) {});
  }

  Machine m;
};

constexpr const char* whole_story = "policy.expired obligation.due data.destroyed ";
constexpr const char* whole_story_with_duty = "obligation.due data.destroyed obligation.fulfilled ";

TEST_F(KeeperTest, WhenThePolicyEndsTheDataGoesByItselfAndTheProviderIsTold) {
  agree("a", policy_until(in(10)));
  m.start();
  hold("x", "a");
  run_keeper();
  hours(9);
  EXPECT_TRUE(is_held("x"));
  EXPECT_EQ(story("a"), "");
  hours(2);
  EXPECT_FALSE(is_held("x"));
  EXPECT_EQ(story("a"), whole_story);
  EXPECT_EQ(m.expired, std::vector<std::string>{"a"});
  ASSERT_EQ(m.told.size(), 1U);
  const auto records = m.rig.records("data.destroyed");
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].body["contents"], Json::array({digest_text(sha256("data of x"))}));
  EXPECT_EQ(records[0].body["method"], "key-shredded");
  EXPECT_EQ(m.told[0].seq, records[0].body["seq"].get<std::uint64_t>());
  EXPECT_EQ(m.told[0].content, digest_text(sha256("data of x")));
  EXPECT_EQ(m.told[0].provider, usage::test::provider);
  EXPECT_EQ(usage::test::outcome(m.rig.authorise(usage::test::act("a"))), "usage.ended");
  const auto row = m.holdings->find(ArtefactId("x"));
  EXPECT_EQ(row->state, HoldingState::destroyed);
  EXPECT_TRUE(row->destroyed);
  // The end came at its instant, not at the next full minute.
  EXPECT_LT(m.told[0].time - (start_of_world + seconds(10L * 3600)), seconds(2));
}

TEST_F(KeeperTest, AMovedTestClockIsNoticedByAKick) {
  agree("a", policy_until(in(10)));
  m.start();
  hold("x", "a");
  run_keeper();
  m.rig.world.run_for(seconds(1));
  m.rig.node->clock().step(seconds(11L * 3600));
  m.keeper->kick();
  m.rig.world.run_for(seconds(2));
  EXPECT_FALSE(is_held("x"));
  EXPECT_EQ(story("a"), whole_story);
}

TEST_F(KeeperTest, ADutyIsDueAtItsInstantAndFulfilled) {
  const Json by = usage::test::atom("dateTime", "lteq", in(5));
  agree("a", policy_until(in(10), delete_duty(by)));
  m.start();
  hold("x", "a");
  hold("y", "a");
  run_keeper();
  hours(4);
  EXPECT_TRUE(is_held("x"));
  hours(2);
  EXPECT_FALSE(is_held("x"));
  EXPECT_FALSE(is_held("y"));
  EXPECT_EQ(story("a"), whole_story_with_duty);
  EXPECT_EQ(m.told.size(), 2U);
  EXPECT_EQ(m.rig.records("obligation.due")[0].body["rule"], "urn:test:duty");
}

TEST_F(KeeperTest, ADutyAfterUseWaitsForAUseAndForItsReader) {
  agree("a", policy_until("", delete_duty()));
  m.start();
  hold("x", "a");
  run_keeper();
  hours(3);
  EXPECT_TRUE(is_held("x"));
  ASSERT_TRUE(m.rig.use("a"));
  {
    const auto opened = m.run(m.custody->open(ArtefactId("x")));
    ASSERT_TRUE(opened);
    m.rig.world.run_for(seconds(300));
    EXPECT_TRUE(is_held("x"));
  }
  m.rig.world.run_for(seconds(61));
  EXPECT_FALSE(is_held("x"));
  EXPECT_EQ(story("a"), whole_story_with_duty);
}

TEST_F(KeeperTest, ADelayRunsFromTheUse) {
  const Json delay = usage::test::atom("delayPeriod", "lteq", "PT3H");
  agree("a", policy_until("", delete_duty(delay)));
  m.start();
  hold("x", "a");
  run_keeper();
  hours(5);
  ASSERT_TRUE(m.rig.use("a"));
  hours(2);
  EXPECT_TRUE(is_held("x"));
  hours(2);
  EXPECT_FALSE(is_held("x"));
}

TEST_F(KeeperTest, AnUnreliableClockHoldsTheDestructionAndSaysSo) {
  agree("a", policy_until(in(10)));
  m.start();
  hold("x", "a");
  m.rig.node->clock().set_reliable(false);
  run_keeper();
  hours(12);
  EXPECT_TRUE(is_held("x"));
  EXPECT_EQ(story("a"), "");
  ASSERT_EQ(m.keeper->problems().size(), 1U);
  EXPECT_EQ(m.keeper->problems()[0].code, "custody.clock-held");
  EXPECT_EQ(m.rig.node->notices().count("custody.clock-held"), 1U);
  m.rig.node->clock().set_reliable(true);
  m.rig.world.run_for(seconds(61));
  EXPECT_FALSE(is_held("x"));
  EXPECT_TRUE(m.keeper->problems().empty());
}

TEST_F(KeeperTest, AnEndedAgreementKeepsNothing) {
  agree("a", policy_until(""));
  agree("b", policy_until(""));
  m.start();
  hold("x", "a");
  hold("y", "b");
  run_keeper();
  m.run(m.rig.enforcer->close(
      AgreementId("a"),
      usage::Closed::terminated,
      usage::test::draft(m.rig, "policy.revoked", "a").set("reason", "ended")
  ));
  m.rig.world.run_for(seconds(120));
  EXPECT_FALSE(is_held("x"));
  EXPECT_TRUE(is_held("y"));
  EXPECT_EQ(m.holdings->find(ArtefactId("x"))->reason.code, "custody.agreement-ended");
}

TEST_F(KeeperTest, TheProvidersLedgerEntryExpiresToo) {
  agree("a", policy_until(in(10)), odrl::Side::provider);
  m.start();
  run_keeper();
  hours(11);
  EXPECT_EQ(story("a"), "policy.expired ");
  EXPECT_EQ(m.expired, std::vector<std::string>{"a"});
}

TEST_F(KeeperTest, ADestructionThatFailsIsRecordedOnceAndTriedAgain) {
  agree("a", policy_until(in(10)));
  m.start();
  hold("x", "a");
  m.rig.world.run_for(seconds(11L * 3600));
  // The first write of the look is the log's; it is let through by failing the key's overwrite only
  // once the key file is the next to be written.
  m.blobs->fail_shred = true;
  m.run(m.keeper->check());
  EXPECT_TRUE(is_held("x"));
  m.run(m.keeper->check());
  EXPECT_EQ(story("a"), "policy.expired obligation.due data.destroy_failed ");
  ASSERT_EQ(m.keeper->problems().size(), 1U);
  EXPECT_EQ(m.keeper->problems()[0].code, "custody.destroy-failed");
  m.blobs->fail_shred = false;
  m.run(m.keeper->check());
  EXPECT_EQ(story("a"), "policy.expired obligation.due data.destroy_failed data.destroyed ");
  EXPECT_FALSE(is_held("x"));
  EXPECT_TRUE(m.keeper->problems().empty());
  EXPECT_EQ(m.told.size(), 1U);
}

TEST_F(KeeperTest, ADutyThatIsDueAndCannotBeDoneIsViolatedOnce) {
  const Json by = usage::test::atom("dateTime", "lteq", in(5));
  agree("a", policy_until(in(10), delete_duty(by)));
  m.start();
  hold("x", "a");
  m.rig.world.run_for(seconds(6L * 3600));
  m.blobs->fail_shred = true;
  m.run(m.keeper->check());
  m.run(m.keeper->check());
  EXPECT_EQ(story("a"), "obligation.due data.destroy_failed obligation.violated ");
  // Nothing more may be done under its rule until it is done, also after a restart.
  const auto use = [this] { return usage::test::outcome(m.rig.authorise(usage::test::act("a"))); };
  EXPECT_EQ(use(), "usage.duty-overdue");
  m.off();
  m.start();
  ASSERT_TRUE(m.holdings->load());
  m.blobs->fail_shred = true;
  ASSERT_TRUE(m.run(m.keeper->start()));
  EXPECT_EQ(use(), "usage.duty-overdue");
  m.blobs->fail_shred = false;
  m.run(m.keeper->check());
  EXPECT_FALSE(is_held("x"));
}

TEST_F(KeeperTest, ANoteThatCouldNotBeHandedOverIsHandedOverLater) {
  agree("a", policy_until(in(10)));
  m.start();
  hold("x", "a");
  m.refuse_notes = true;
  hours(11);
  m.run(m.keeper->check());
  EXPECT_FALSE(is_held("x"));
  EXPECT_FALSE(m.holdings->find(ArtefactId("x"))->told);
  m.refuse_notes = false;
  m.run(m.keeper->check());
  ASSERT_EQ(m.told.size(), 1U);
  EXPECT_TRUE(m.holdings->find(ArtefactId("x"))->told);
  m.run(m.keeper->check());
  EXPECT_EQ(m.told.size(), 1U);
  EXPECT_EQ(story("a"), whole_story);
}

TEST_F(KeeperTest, AKeyThatCameBackIsDestroyedAgainAndReported) {
  agree("a", policy_until(in(10)));
  m.start();
  hold("x", "a");
  const auto key = m.rig.disk.contents("custody/keys/x.key");
  const auto blob = m.rig.disk.contents("custody/blobs/x.blob");
  ASSERT_TRUE(key && blob);
  hours(11);
  m.run(m.keeper->check());
  m.off();
  m.rig.disk.power_on();
  for (const auto& [name, bytes] :
       {std::pair("custody/keys/x.key", *key), {"custody/blobs/x.blob", *blob}}) {
    const auto file = m.rig.disk.create(name);
    ASSERT_TRUE(file);
    ASSERT_TRUE(m.rig.disk.write_at(*file, 0, bytes));
    ASSERT_TRUE(m.rig.disk.sync(*file));
  }
  ASSERT_TRUE(m.rig.disk.sync_names());
  m.start();
  EXPECT_TRUE(is_held("x"));
  ASSERT_TRUE(m.run(m.keeper->start()));
  EXPECT_FALSE(is_held("x"));
  EXPECT_FALSE(m.run(m.custody->key_exists(ArtefactId("x"))).value());
  EXPECT_EQ(m.rig.node->notices().count("custody.stray-key-destroyed"), 1U);
  EXPECT_EQ(m.rig.records("data.destroyed").size(), 2U);
}

// A re-check marks the same row at any moment of the way: the destruction is not put off, and the
// duty is not said to be violated.
TEST(KeeperRace, ARowThatIsChangedMeanwhileHoldsNothingUp) {
  struct Harness : KeeperTest {
    explicit Harness(std::uint64_t seed) : KeeperTest(seed) {}
    void TestBody() override {}
    using KeeperTest::agree, KeeperTest::hold, KeeperTest::is_held, KeeperTest::hours,
        KeeperTest::m;
  };
  for (std::uint64_t moment = 0; moment < 30; ++moment) {
    Harness h(1 + moment);
    Machine& m = h.m;
    h.agree("a", policy_until("", delete_duty(usage::test::atom("dateTime", "lteq", in(10)))));
    m.start();
    h.hold("x", "a");
    h.hours(11);
    bool looked = false;
    boost::asio::co_spawn(
        m.rig.node->executor(),
        m.keeper->check(),
        [&](std::exception_ptr, std::optional<Instant>) { looked = true; }
    );
    for (std::uint64_t i = 0; i < moment && !looked; ++i) m.rig.world.step();
    auto mark = [](Machine& machine) -> awaitable<void> {
      auto row = machine.holdings->find(ArtefactId("x"));
      if (!row) co_return;
      row->checked = machine.rig.node->clock().read().at;
      std::vector<Holding> changed{*std::move(row)};
      std::vector<audit::RecordDraft> none;
      (void)co_await machine.holdings->save(std::move(changed), std::move(none));
    };
    bool marked = false;
    boost::asio::co_spawn(m.rig.node->executor(), mark(m), [&](std::exception_ptr) {
      marked = true;
    });
    for (int i = 0; i < 10'000 && !(looked && marked); ++i) m.rig.world.step();
    ASSERT_TRUE(looked && marked) << m.rig.world.where();
    EXPECT_EQ(m.holdings->find(ArtefactId("x"))->state, HoldingState::destroyed)
        << moment << " " << m.rig.world.where();
    EXPECT_TRUE(m.rig.records("obligation.violated").empty()) << m.rig.world.where();
    EXPECT_EQ(m.rig.records("data.destroyed").size(), 1U) << m.rig.world.where();
  }
}

// The power goes at every event of the way from the end of the policy to the told provider. In the
// end the key is gone, the log says what happened in the right order, and the provider knows.
// The log is the authority: an older database that says "held" is not believed.
TEST_F(KeeperTest, WhatTheLogCallsDestroyedIsDestroyedAgainWhateverTheRowSays) {
  // An agreement without an end or a duty: nothing but the record says that it has to go.
  agree("a", policy_until(""));
  m.start();
  hold("x", "a");
  hold("y", "b");
  const sim::StoreImage older = m.image;
  const auto key = m.rig.disk.contents("custody/keys/x.key").value();
  const auto blob = m.rig.disk.contents("custody/blobs/x.blob").value();
  ASSERT_TRUE(m.run(m.keeper->destroy(AgreementId("a"), Message{"test.ended", {}})));
  ASSERT_FALSE(is_held("x"));
  EXPECT_EQ(m.rig.records("data.destroyed")[0].body["artefacts"], Json::array({"x"}));

  m.off();
  m.image.rows = older.rows;
  m.rig.disk.power_on();
  m.rig.disk.overwrite("custody/keys/x.key", key);
  m.rig.disk.overwrite("custody/blobs/x.blob", blob);
  m.start();
  ASSERT_TRUE(m.holdings->load());
  ASSERT_EQ(m.holdings->find(ArtefactId("x"))->state, HoldingState::held);
  ASSERT_TRUE(m.run(m.keeper->start()));
  EXPECT_FALSE(m.run(m.custody->key_exists(ArtefactId("x"))).value());
  EXPECT_EQ(m.holdings->find(ArtefactId("x"))->state, HoldingState::destroyed);
  EXPECT_EQ(m.rig.records("data.destroyed").size(), 2U);
  EXPECT_TRUE(is_held("y"));
}

TEST(CustodyRecords, OfLogsThatNameNoArtefactsMeanWhatWasReceivedUntilThen) {
  CustodyRecords records;
  audit::RecordView view;
  view.type = "data.destroyed";
  view.agreement = "a";
  view.time = "2026-01-01T12:00:00.000000Z";
  view.text = R"({"contents":["sha256:c"],"method":"m"})";
  ASSERT_TRUE(records.replay(view));
  CustodyRecords restored;
  records.save([&](const Json& item) { ASSERT_TRUE(restored.restore(item)); });
  for (const CustodyRecords* one : {&records, &restored}) {
    Holding holding;
    holding.id = ArtefactId("x");
    holding.agreement = AgreementId("a");
    holding.content = "sha256:c";
    holding.received = parse_date_time("2026-01-01T11:59:59Z")->instant;
    EXPECT_TRUE(one->destroyed(holding));
    holding.received = parse_date_time("2026-01-01T12:00:01Z")->instant;
    EXPECT_FALSE(one->destroyed(holding)) << "fetched again after that";
    holding.received = parse_date_time("2026-01-01T11:59:59Z")->instant;
    holding.agreement = AgreementId("b");
    EXPECT_FALSE(one->destroyed(holding));
  }
}

// Key and bytes that no row knows: nothing would ever end them.
TEST_F(KeeperTest, WhatNoRowKnowsIsRecordedAndDestroyed) {
  m.start();
  hold("x", "a");
  m.off();
  m.image.rows.clear();
  m.start();
  ASSERT_TRUE(m.holdings->load());
  m.rig.disk.overwrite("custody/blobs/notes.txt", {1});
  ASSERT_TRUE(m.run(m.keeper->start()));
  EXPECT_EQ(m.rig.disk.list("custody/keys"), std::vector<std::string>());
  EXPECT_EQ(m.rig.disk.list("custody/blobs"), std::vector<std::string>{"notes.txt"});
  const auto records = m.rig.records("data.unknown");
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].body["artefacts"], Json::array({"x"}));
}

TEST(KeeperPower, AnInterruptedDestructionIsFinishedAtTheNextStart) {
  struct Harness : KeeperTest {
    explicit Harness(std::uint64_t seed) : KeeperTest(seed) {}
    void TestBody() override {}
    using KeeperTest::agree, KeeperTest::hold, KeeperTest::is_held, KeeperTest::story,
        KeeperTest::hours, KeeperTest::m;
  };
  int cut_before_end = 0;
  for (std::uint64_t run = 0; run < 60; ++run) {
    const std::uint64_t cut_after = 1 + run % 20;
    Harness h(1 + run);
    Machine& m = h.m;
    h.agree("a", policy_until(in(10)));
    m.start();
    h.hold("x", "a");
    h.hours(11);
    bool ended = false;
    boost::asio::co_spawn(
        m.rig.node->executor(),
        m.keeper->check(),
        [&](std::exception_ptr, std::optional<Instant>) { ended = true; }
    );
    for (std::uint64_t i = 0; i < cut_after && !ended; ++i) m.rig.world.step();
    if (!ended) ++cut_before_end;
    m.off();
    m.start();
    ASSERT_TRUE(m.run(m.keeper->start())) << m.rig.world.where();
    // Whatever the log says is destroyed is.
    if (!m.rig.records("data.destroyed").empty())
      EXPECT_FALSE(h.is_held("x")) << m.rig.world.where();
    m.run(m.keeper->check());
    EXPECT_FALSE(h.is_held("x")) << m.rig.world.where();
    EXPECT_FALSE(m.run(m.custody->key_exists(ArtefactId("x"))).value()) << m.rig.world.where();
    ASSERT_FALSE(m.told.empty()) << m.rig.world.where();
    EXPECT_EQ(m.holdings->find(ArtefactId("x"))->state, HoldingState::destroyed);
    EXPECT_TRUE(m.holdings->find(ArtefactId("x"))->told);
    const std::string story = h.story("a");
    EXPECT_TRUE(story == whole_story || story == std::string(whole_story) + "data.destroyed ")
        << m.rig.world.where() << ": " << story;
    m.run(m.keeper->check());
    EXPECT_EQ(h.story("a"), story) << m.rig.world.where();
  }
  EXPECT_GT(cut_before_end, 30);
}

}  // namespace
}  // namespace tally::custody
