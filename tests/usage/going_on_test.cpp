// Whether what was granted may go on while it moves: the entry, the time, the time that is added
// up.
#include <gtest/gtest.h>

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::atom;
using test::policy;
using test::Rig;
using test::terms;

Json end(Rig& rig, Nanos span) {
  const auto at = format_micros(rig.node->clock().read().at + span);
  return Json::array({atom("dateTime", "lt", {{"@value", at}, {"@type", "xsd:dateTime"}})});
}

TEST(GoingOn, TheEndOfThePolicyIsTheEndOfTheStream) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(end(rig, seconds(60)))));
  const auto grant = rig.use("urn:test:a");
  ASSERT_TRUE(grant);
  EXPECT_TRUE(rig.enforcer->may_go_on(*grant));
  rig.world.run_for(seconds(59));
  EXPECT_TRUE(rig.enforcer->may_go_on(*grant));
  rig.world.run_for(seconds(2));
  // A clock that cannot be believed ends nothing.
  rig.node->clock().set_reliable(false);
  EXPECT_TRUE(rig.enforcer->may_go_on(*grant));
  rig.node->clock().set_reliable(true);
  EXPECT_FALSE(rig.enforcer->may_go_on(*grant));
}

TEST(GoingOn, ATimeThatTurnsAndChangesNothingEndsNothing) {
  Rig rig;
  rig.start();
  const auto at = format_micros(rig.node->clock().read().at + seconds(60));
  rig.agree(terms(
      "urn:test:a",
      policy(Json::array(
          {{{"or",
             Json::array(
                 {atom("dateTime", "lt", {{"@value", at}, {"@type", "xsd:dateTime"}}),
                  atom("dateTime", "gteq", {{"@value", at}, {"@type", "xsd:dateTime"}})}
             )}}}
      ))
  ));
  const auto grant = rig.use("urn:test:a");
  ASSERT_TRUE(grant);
  rig.world.run_for(seconds(61));
  EXPECT_TRUE(rig.enforcer->may_go_on(*grant));
}

TEST(GoingOn, ALimitThatTheUseItselfReachedEndsNothing) {
  Rig rig;
  rig.start();
  auto constraints = end(rig, seconds(3600));
  constraints.push_back(test::limit(1));
  constraints.push_back(atom("urn:tally:profile:1#frequency", "lteq", "1/PT1S"));
  rig.agree(terms("urn:test:a", policy(constraints)));
  const auto grant = rig.use("urn:test:a");
  ASSERT_TRUE(grant);
  rig.world.run_for(seconds(10));
  EXPECT_TRUE(rig.enforcer->may_go_on(*grant));
}

TEST(GoingOn, AClosedEntryEndsEveryStream) {
  for (const auto state : {Closed::suspended, Closed::expired, Closed::terminated}) {
    Rig rig;
    rig.start();
    rig.agree(terms("urn:test:a", policy(Json::array())));
    const auto grant = rig.use("urn:test:a");
    ASSERT_TRUE(grant);
    EXPECT_TRUE(rig.enforcer->may_go_on(*grant));
    rig.enforcer->shut(AgreementId("urn:test:a"), state);
    EXPECT_FALSE(rig.enforcer->may_go_on(*grant)) << to_string(state);
  }
}

TEST(GoingOn, SessionsUseTheirTimeUpTogether) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({atom("meteredTime", "lteq", "PT10M")}))));
  const auto one = rig.use("urn:test:a");
  ASSERT_TRUE(one);
  rig.world.run_for(seconds(200));
  const auto other = rig.use("urn:test:a");
  ASSERT_TRUE(other);
  rig.world.run_for(seconds(199));  // 399 and 199
  EXPECT_TRUE(rig.enforcer->may_go_on(*one));
  EXPECT_TRUE(rig.enforcer->may_go_on(*other));
  rig.world.run_for(seconds(2));
  EXPECT_FALSE(rig.enforcer->may_go_on(*one));
  EXPECT_FALSE(rig.enforcer->may_go_on(*other));
}

TEST(GoingOn, AUseIsContinuedByItsNameByItsRequesterAlone) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({test::limit(1)}))));
  Act first = act("urn:test:a");
  first.continuable = true;
  const auto begun = rig.authorise(first);
  ASSERT_TRUE(begun && std::holds_alternative<Grant>(*begun));
  const Grant grant = std::get<Grant>(*begun);
  rig.enforcer->complete(grant, Outcome{10, "", false});
  Act again = act("urn:test:a");
  again.continued_use = grant.use;
  EXPECT_EQ(test::outcome(rig.authorise(again)), "repeated");
  struct Case {
    const char* name;
    std::function<void(Act&)> change;
  };
  const std::vector<Case> cases = {
      {"another application", [](Act& one) { one.app = AppId("other"); }},
      {"another purpose", [](Act& one) { one.purposes = {test::marketing}; }},
      {"another act", [](Act& one) { one.action = odrl::iri::derive; }},
      {"no use", [](Act& one) { one.continued_use = UseId("urn:x"); }},
  };
  for (const auto& each : cases) {
    Act other = again;
    each.change(other);
    EXPECT_EQ(test::outcome(rig.authorise(other)), "usage.not-continuable") << each.name;
  }
  EXPECT_EQ(rig.records("use.permitted").size(), 1U);
}

}  // namespace
}  // namespace tally::usage
