// What is made of held data stays bound by the terms of all that it was made from, over ends,
// repeats and power cuts.
#include "tally/custody/deriver.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "custody/machine.hpp"

namespace tally::custody {
namespace {

using test::Machine;

constexpr Instant start_of_world = sim::World::default_start;

odrl::PolicyPtr policy_until(std::int64_t hours) {
  const std::string end = format_seconds(start_of_world + seconds(hours * 3600));
  const Json document = {
      {"@context", "http://www.w3.org/ns/odrl.jsonld"},
      {"@type", "Agreement"},
      {"uid", "urn:test:policy"},
      {"assigner", usage::test::provider.uri},
      {"assignee", usage::test::consumer.uri},
      {"target", "urn:test:cohort"},
      {"permission",
       {{{"uid", "urn:test:rule"},
         {"action", "use"},
         {"constraint", {usage::test::atom("dateTime", "lt", end)}}}}}};
  return *odrl::load_policy(document);
}

Derivation of(std::vector<std::string> agreements, const std::string& use = "u1") {
  Derivation out;
  for (const auto& one : agreements) {
    out.inputs.push_back(
        {AgreementId(one),
         AssetId("urn:test:cohort"),
         usage::test::provider,
         "sha256:" + one,
         UseId(use)}
    );
  }
  out.app = AppId("study");
  out.media_type = "text/csv";
  out.bytes = "mean\n4.2\n";
  return out;
}

class DeriverTest : public ::testing::Test {
 protected:
  explicit DeriverTest(std::uint64_t seed = 1) : m(seed) {
    for (const auto& [id, hours] : {std::pair{"a", 10}, std::pair{"b", 5}}) {
      m.rig.agree(usage::test::terms(id, policy_until(hours), odrl::Side::consumer));
    }
    start();
  }

  void start() {
    m.start();
    deriver = std::make_unique<Deriver>(
        *m.custody, *m.holdings, m.rig.node->clock(), m.rig.node->random()
    );
  }
  void hours(std::int64_t n) { m.rig.world.run_for(seconds(n * 3600)); }
  std::string read(const ArtefactId& id) {
    auto read_all = [](Machine& machine, ArtefactId from) -> awaitable<std::string> {
      auto opened = co_await machine.custody->open(from);
      if (!opened) co_return opened.error().message.code;
      std::vector<std::uint8_t> piece(100);
      auto n = co_await opened->body->read(piece);
      co_return n ? std::string(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*n))
                  : n.error().message.code;
    };
    return m.run(read_all(m, id));
  }

  Machine m;
  std::unique_ptr<Deriver> deriver;
};

TEST_F(DeriverTest, ItIsHeldUnderAllAndEachHasARecord) {
  const auto made = m.run(deriver->keep(of({"a", "b"})));
  ASSERT_TRUE(made) << made.error().message.code;
  EXPECT_FALSE(made->unreadable);
  EXPECT_EQ(read(made->row.id), "mean\n4.2\n");
  EXPECT_TRUE(m.holdings->of(AgreementId("a")).empty());  // it was not received
  EXPECT_EQ(m.holdings->under(AgreementId("a")).size(), 1U);
  EXPECT_EQ(m.holdings->under(AgreementId("b")).size(), 1U);
  const auto records = m.rig.records("process.executed");
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].agreement, "a");
  EXPECT_EQ(records[1].agreement, "b");
  for (const auto& record : records) {
    EXPECT_EQ(record.body.at("inputs"), (Json{"sha256:a", "sha256:b"}));
    EXPECT_EQ(record.body.at("outputs"), Json::array({made->row.content}));
  }
}

TEST_F(DeriverTest, TheAgreementThatEndsFirstEndsIt) {
  const auto made = m.run(deriver->keep(of({"a", "b"})));
  ASSERT_TRUE(made);
  hours(6);
  m.run(m.keeper->check());
  const auto& id = made->row.id;
  EXPECT_EQ(m.holdings->find(id)->state, HoldingState::destroyed);
  EXPECT_EQ(m.holdings->find(id)->ended_under, AgreementId("b"));
  EXPECT_EQ(m.run(m.custody->key_exists(id)).value(), false);
  ASSERT_EQ(m.rig.records("data.destroyed").size(), 1U);
  EXPECT_EQ(m.rig.records("data.destroyed").front().agreement, "b");
  EXPECT_TRUE(m.told.empty());
  // The other end finds nothing left to do.
  hours(6);
  m.run(m.keeper->check());
  EXPECT_EQ(m.rig.records("data.destroyed").size(), 1U);
}

TEST_F(DeriverTest, OneUseMakesOneArtefact) {
  const auto first = m.run(deriver->keep(of({"a"})));
  const auto again = m.run(deriver->keep(of({"a"})));
  ASSERT_TRUE(first && again);
  EXPECT_EQ(first->row.id, again->row.id);
  EXPECT_EQ(m.rig.records("process.executed").size(), 1U);
  auto other = of({"a"});
  other.bytes = "other";
  const auto refused = m.run(deriver->keep(std::move(other)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.code, "custody.derived-other");
}

// What was recorded was done: that it cannot be read yet takes nothing of it back.
TEST_F(DeriverTest, ADiskThatDoesNotNameItLeavesItHeldAndRecorded) {
  m.blobs->fail_renames_to = ".blob";
  const auto made = m.run(deriver->keep(of({"a", "b"})));
  ASSERT_TRUE(made) << made.error().message.code;
  ASSERT_TRUE(made->unreadable);
  EXPECT_EQ(m.holdings->find(made->row.id)->state, HoldingState::held);
  EXPECT_EQ(m.rig.records("process.executed").size(), 2U);

  m.blobs->fail_renames_to.clear();
  const auto again = m.run(deriver->keep(of({"a", "b"})));
  ASSERT_TRUE(again) << again.error().message.code;
  EXPECT_FALSE(again->unreadable);
  EXPECT_EQ(read(again->row.id), "mean\n4.2\n");
  EXPECT_EQ(m.rig.records("process.executed").size(), 2U);
}

// Either it is held, readable and recorded, or nothing of it is left.
TEST(DeriverPower, APowerCutLeavesAllOfItOrNothing) {
  struct Harness : DeriverTest {
    explicit Harness(std::uint64_t seed) : DeriverTest(seed) {}
    void TestBody() override {}
    using DeriverTest::deriver, DeriverTest::m, DeriverTest::read, DeriverTest::start;
  };
  int all = 0, nothing = 0;
  for (std::uint64_t run = 0; run < 60; ++run) {
    const std::uint64_t cut_after = 1 + run % 30;
    Harness h(1 + run);
    Machine& m = h.m;
    bool ended = false;
    boost::asio::co_spawn(
        m.rig.node->executor(),
        h.deriver->keep(of({"a", "b"})),
        [&](std::exception_ptr, Result<Deriver::Kept>) { ended = true; }
    );
    for (std::uint64_t i = 0; i < cut_after && !ended; ++i) m.rig.world.step();
    m.off();
    h.deriver.reset();
    h.start();
    ASSERT_TRUE(m.run(m.keeper->start())) << m.rig.world.where();
    ASSERT_TRUE(m.run(h.deriver->tidy())) << m.rig.world.where();
    const auto held = m.holdings->under(AgreementId("a"));
    const auto recorded = m.rig.records("process.executed").size();
    if (held.empty()) {
      ++nothing;
      EXPECT_EQ(recorded, 0U) << m.rig.world.where();
      EXPECT_TRUE(m.run(m.custody->list()).value().empty()) << m.rig.world.where();
      EXPECT_FALSE(m.run(m.custody->key_exists(ArtefactId("derived-u1"))).value());
    } else {
      ++all;
      EXPECT_EQ(recorded, 2U) << m.rig.world.where();
      EXPECT_EQ(held.front().state, HoldingState::held);
      EXPECT_EQ(h.read(held.front().id), "mean\n4.2\n") << m.rig.world.where();
    }
  }
  EXPECT_GT(all, 5);
  EXPECT_GT(nothing, 5);
}

}  // namespace
}  // namespace tally::custody
