// An answer that is given again counts under no rule, also after the last use; and only while the
// agreement takes uses.
#include <gtest/gtest.h>

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::Rig;

constexpr const char* agreement = "urn:test:agreement";

Act again(const Grant& earlier) {
  Act out = act(agreement);
  out.repeats = Act::Repeats{earlier.use, earlier.decided_at, earlier.decision.consume};
  return out;
}

TEST(Repeats, CountUnderNoRule) {
  Rig rig;
  rig.start();
  rig.agree(test::terms(agreement, test::policy(Json::array({test::limit(2)}))));
  const auto first = rig.use(agreement);
  ASSERT_TRUE(first);
  const auto used = [&] {
    return rig.enforcer->state(AgreementId(agreement))->limits.front().used;
  };
  for (int round = 0; round < 2; ++round) {
    const auto repeat = rig.authorise(again(*first));
    ASSERT_TRUE(repeat && std::holds_alternative<Grant>(*repeat));
    EXPECT_EQ(used(), 1);
  }
  ASSERT_TRUE(rig.use(agreement));
  EXPECT_FALSE(rig.use(agreement)) << "two of two are spent";
  const auto last = rig.authorise(again(*first));
  ASSERT_TRUE(last && std::holds_alternative<Grant>(*last));
  const auto looked = rig.enforcer->dry_run(again(*first));
  EXPECT_TRUE(looked && looked->decision.permit);
  EXPECT_FALSE(rig.enforcer->dry_run(act(agreement))->decision.permit);

  rig.settle();
  const auto records = rig.records("use.permitted");
  ASSERT_EQ(records.size(), 5U);
  EXPECT_EQ(records.back().body["rules"], Json::array());
  EXPECT_EQ(records.back().body["repeats"], first->use.value);
  rig.kill();
  rig.start();
  EXPECT_EQ(used(), 2);
  EXPECT_FALSE(rig.use(agreement));

  rig.enforcer->shut(AgreementId(agreement), Closed::suspended);
  const auto refused = rig.authorise(again(*first));
  EXPECT_TRUE(refused && std::holds_alternative<Refusal>(*refused));
}

}  // namespace
}  // namespace tally::usage
