// The gate of `witnessing eq strict`: no use until the agreement's last milestone is cosigned.
#include <gtest/gtest.h>

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::outcome;
using test::Rig;

constexpr const char* strict = "urn:test:strict";
constexpr const char* loose = "urn:test:loose";

odrl::PolicyPtr policy_with(Json constraints) {
  const Json document = {
      {"@context", "http://www.w3.org/ns/odrl.jsonld"},
      {"@type", "Agreement"},
      {"uid", "urn:test:policy"},
      {"profile", "urn:tally:profile:1"},
      {"assigner", test::provider.uri},
      {"assignee", test::consumer.uri},
      {"target", "urn:test:cohort"},
      {"permission",
       Json::array({{{"uid", test::rule_id}, {"action", "use"}, {"constraint", constraints}}})},
  };
  auto loaded = odrl::load_policy(document);
  if (!loaded) throw std::runtime_error(loaded.error().front().message.code);
  return *loaded;
}

class StrictGate : public ::testing::Test {
 protected:
  void SetUp() override {
    rig.start();
    rig.enforcer->attach(witnessing);
    const auto agree = [this](const char* id, const char* how) {
      const Json constraint = test::atom("urn:tally:profile:1#witnessing", "eq", how);
      const Json constraints = Json::array({constraint, test::limit(9)});
      rig.agree(test::terms(id, policy_with(constraints)));
    };
    agree(strict, "strict");
    agree(loose, "async");
  }
  // A milestone that is the log's `size`th record.
  void milestone(const char* agreement, std::uint64_t size) {
    witnessing.queued(agreement, rig.world.now());
    witnessing.settled(agreement, size);
  }
  void cosigned(std::uint64_t size, const PartyId& by = test::provider) {
    audit::Cosigned one;
    one.id = to_string(by);
    one.party = by;
    one.size = size;
    witnessing.cosigned(one);
  }
  std::string use(const char* agreement) { return outcome(rig.authorise(act(agreement))); }
  std::vector<std::string> waiting() {
    std::vector<std::string> out;
    for (const auto& one : rig.enforcer->waiting()) out.push_back(one.agreement.value);
    return out;
  }

  audit::Witnessing witnessing;
  Rig rig;
};

TEST_F(StrictGate, NoUseUntilTheMilestoneIsCosigned) {
  milestone(strict, 5);
  milestone(loose, 5);
  EXPECT_EQ(use(strict), "usage.not-witnessed");
  EXPECT_EQ(use(loose), "permitted");
  cosigned(4);
  EXPECT_EQ(use(strict), "usage.not-witnessed");
  cosigned(5);
  EXPECT_EQ(use(strict), "permitted");
  // What was refused is in the log and counts nothing.
  const auto denied = rig.records("use.denied");
  ASSERT_EQ(denied.size(), 2U);
  EXPECT_EQ(denied[0].agreement, strict);
  EXPECT_EQ(rig.enforcer->state(AgreementId(strict))->uses, 1);
}

TEST_F(StrictGate, EachNewMilestoneShutsItAgainEvenBeforeItIsDurable) {
  milestone(strict, 5);
  cosigned(5);
  EXPECT_EQ(use(strict), "permitted");
  witnessing.queued(strict, rig.world.now());
  cosigned(1000);
  EXPECT_EQ(use(strict), "usage.not-witnessed");
  witnessing.settled(strict, 1001);
  EXPECT_EQ(use(strict), "usage.not-witnessed");
  cosigned(1001);
  EXPECT_EQ(use(strict), "permitted");
}

TEST_F(StrictGate, ItIsTheOtherPartyThatHasToHaveCosigned) {
  milestone(strict, 5);
  cosigned(9, test::stranger);
  EXPECT_EQ(use(strict), "usage.not-witnessed");
  const auto why = rig.enforcer->unwitnessed(AgreementId(strict));
  ASSERT_TRUE(why);
  EXPECT_EQ(why->params.at("witness"), test::provider.uri);
  EXPECT_EQ(why->params.at("since"), format_seconds(rig.world.now()));
}

TEST_F(StrictGate, TheOperatorSeesWhatWaits) {
  EXPECT_TRUE(waiting().empty());
  milestone(strict, 5);
  milestone(loose, 5);
  ASSERT_EQ(waiting(), std::vector<std::string>{strict});
  EXPECT_EQ(rig.enforcer->waiting().front().witnesses.party, test::provider);
  cosigned(5);
  EXPECT_TRUE(waiting().empty());
}

// Nobody told it how far the log is cosigned: then it is not.
TEST(StrictGateAlone, WithoutAWitnessStrictPermitsNothing) {
  Rig rig;
  rig.start();
  const Json constraint = test::atom("urn:tally:profile:1#witnessing", "eq", "strict");
  rig.agree(test::terms(strict, policy_with(Json::array({constraint}))));
  EXPECT_EQ(outcome(rig.authorise(act(strict))), "usage.not-witnessed");
}

}  // namespace
}  // namespace tally::usage
