// A masked copy stands in the place of what was held, whole, or the original is as it was: over
// disks that fail and power cuts.
#include "tally/custody/masker.hpp"

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "custody/held.hpp"
#include "custody/machine.hpp"
#include "dataplane/shape_fixture.hpp"

namespace tally::custody {
namespace {

using test::Machine;

constexpr const char* original_bytes = "name,ward\nAda,3\nBob,4\n";
constexpr const char* masked_bytes = "ward\r\n3\r\n4\r\n";
const ArtefactId original_id("original");
const AgreementId agreement_id("a");

// Drops the column `name`.
class DropsTheName : public MasksAtRest {
 public:
  std::vector<RuleId> masks_of(const Holding&) override { return {RuleId("urn:test:mask")}; }
  Result<FormAtRest> form_of(const Holding&, const std::vector<RuleId>&) override {
    const Json schema = Json::parse(R"({"columns": [
      {"name": "name", "type": "text", "class": "personal"},
      {"name": "ward", "type": "integer", "class": "enterprise"}]})");
    const Json drop = Json::parse(R"([{"action": "urn:tally:profile:1#dropColumn", "constraint": [
      {"leftOperand": "urn:tally:profile:1#column", "operator": "eq", "rightOperand": "name"}]}])");
    const auto policy = dataplane::policy_of(Json::array(), drop);
    auto shape = dataplane::shape_of(*policy, dataplane::schema_of(schema));
    if (!shape) return fail(ErrorKind::invalid, {"test.shape", {}});
    return FormAtRest{*shape, Json{{"masked", true}}};
  }
};

class MaskerTest : public ::testing::Test {
 protected:
  explicit MaskerTest(std::uint64_t seed = 1, const std::string& bytes = original_bytes) : m(seed) {
    const auto policy = usage::test::policy(Json::array());
    m.rig.agree(usage::test::terms(agreement_id.value, policy, odrl::Side::consumer));
    start();
    hold(m, original_id.value, agreement_id.value, bytes);
  }

  void start() {
    m.start();
    masker = std::make_unique<Masker>(
        *m.custody, *m.holdings, m.rig.node->clock(), m.rig.node->random(), masks, 1 << 16
    );
  }
  awaitable<Result<Masker::Masked>> rewrite() {
    return masker->rewrite(*m.holdings->find(original_id), {RuleId("urn:test:mask")});
  }
  std::string read(const ArtefactId& id) {
    auto read_all = [](Machine& machine, ArtefactId from) -> awaitable<std::string> {
      auto opened = co_await machine.custody->open(from);
      if (!opened) co_return opened.error().message.code;
      std::vector<std::uint8_t> piece(1000);
      auto n = co_await opened->body->read(piece);
      co_return n ? std::string(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*n))
                  : n.error().message.code;
    };
    return m.run(read_all(m, id));
  }

  DropsTheName masks;
  Machine m;
  std::unique_ptr<Masker> masker;
};

TEST_F(MaskerTest, TheCopyStandsInThePlaceOfTheOriginal) {
  const auto masked = m.run(rewrite());
  ASSERT_TRUE(masked) << masked.error().message.code;
  EXPECT_FALSE(masked->unreadable);
  EXPECT_EQ(read(masked->copy), masked_bytes);
  EXPECT_EQ(m.holdings->find(masked->copy)->state, HoldingState::held);
  EXPECT_EQ(m.holdings->find(original_id)->state, HoldingState::destroying);
  const auto made = m.rig.records("process.executed");
  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made.front().body.at("artefacts"), (Json{original_id.value, masked->copy.value}));
  EXPECT_EQ(m.rig.records("obligation.due").size(), 1U);
}

class MaskerOfRagged : public MaskerTest {
 protected:
  MaskerOfRagged() : MaskerTest(1, ragged_bytes) {}
  static constexpr const char* ragged_bytes = "name,ward\nAda,3\nBob\n";
};

TEST_F(MaskerOfRagged, ACopyThatCannotBeMadeChangesNothing) {
  const auto masked = m.run(rewrite());
  ASSERT_FALSE(masked);
  EXPECT_EQ(m.holdings->find(original_id)->state, HoldingState::held);
  EXPECT_EQ(m.holdings->all().size(), 1U);
  EXPECT_EQ(m.run(m.custody->list()).value().size(), 1U);
  EXPECT_EQ(read(original_id), ragged_bytes);
  EXPECT_TRUE(m.rig.records("process.executed").empty());
}

// What was recorded was done: the original goes, and the next start makes the copy readable.
TEST_F(MaskerTest, ADiskThatDoesNotNameItLeavesItHeldAndRecorded) {
  m.blobs->fail_renames_to = ".blob";
  const auto masked = m.run(rewrite());
  ASSERT_TRUE(masked) << masked.error().message.code;
  ASSERT_TRUE(masked->unreadable);
  EXPECT_EQ(m.holdings->find(masked->copy)->state, HoldingState::held);
  EXPECT_EQ(m.holdings->find(original_id)->state, HoldingState::destroying);

  m.off();
  masker.reset();
  start();
  ASSERT_TRUE(m.run(m.keeper->start()));
  EXPECT_EQ(read(masked->copy), masked_bytes);
}

// Either the copy alone is held, readable and recorded, or the original as it was.
TEST(MaskerPower, APowerCutLeavesTheCopyOrTheOriginal) {
  struct Harness : MaskerTest {
    explicit Harness(std::uint64_t seed) : MaskerTest(seed) {}
    void TestBody() override {}
    using MaskerTest::m, MaskerTest::masker, MaskerTest::read, MaskerTest::rewrite,
        MaskerTest::start;
  };
  int copies = 0, originals = 0;
  for (std::uint64_t run = 0; run < 60; ++run) {
    const std::uint64_t cut_after = 1 + run % 40;
    Harness h(1 + run);
    Machine& m = h.m;
    bool ended = false;
    boost::asio::co_spawn(
        m.rig.node->executor(),
        h.rewrite(),
        [&](std::exception_ptr, Result<Masker::Masked>) { ended = true; }
    );
    for (std::uint64_t i = 0; i < cut_after && !ended; ++i) m.rig.world.step();
    m.off();
    h.masker.reset();
    h.start();
    ASSERT_TRUE(m.run(m.keeper->start())) << m.rig.world.where();
    ASSERT_TRUE(m.run(h.masker->tidy())) << m.rig.world.where();
    const auto recorded = m.rig.records("process.executed").size();
    std::vector<Holding> held;
    for (const auto& one : m.holdings->all()) {
      if (one.state == HoldingState::held) held.push_back(one);
    }
    ASSERT_EQ(held.size(), 1U) << m.rig.world.where();
    if (held.front().id == original_id) {
      ++originals;
      EXPECT_EQ(recorded, 0U) << m.rig.world.where();
      EXPECT_EQ(h.read(original_id), original_bytes) << m.rig.world.where();
      EXPECT_EQ(m.run(m.custody->list()).value().size(), 1U) << m.rig.world.where();
    } else {
      ++copies;
      EXPECT_EQ(recorded, 1U) << m.rig.world.where();
      EXPECT_EQ(h.read(held.front().id), masked_bytes) << m.rig.world.where();
    }
  }
  EXPECT_GT(copies, 5);
  EXPECT_GT(originals, 5);
}

}  // namespace
}  // namespace tally::custody
