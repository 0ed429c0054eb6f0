#include "tally/dsp/policy_form.hpp"

#include <gtest/gtest.h>

#include "dsp/test_data.hpp"

namespace tally::dsp {

Json base_policy(const std::string& form) {
  if (form == "catalogue") return example("dataset")["hasPolicy"][0];
  if (form == "message") return example("contract-request")["offer"];
  return example("contract-agreement")["agreement"];
}

PolicyForm form_of(const std::string& form) {
  if (form == "catalogue") return PolicyForm::catalogue_offer;
  return form == "message" ? PolicyForm::message_offer : PolicyForm::agreement;
}

PolicyOrigin origin_of(const Json& one) {
  return one["origin"] == "own" ? PolicyOrigin::own : PolicyOrigin::peer;
}

TEST(PolicyForm, BadPoliciesAreRefusedAtTheirPointer) {
  const Json cases = read_json(data_folder() / "bad-policies.json");
  ASSERT_GE(cases.size(), 120U);
  for (const Json& one : cases) {
    const std::string form = one["form"];
    const Json policy = changed(base_policy(form), one["change"]);
    const auto result = check_wire_policy(policy, form_of(form), "/offer", origin_of(one));
    ASSERT_FALSE(result) << form << " " << one["name"];
    EXPECT_EQ(Json(result.error().message.code), one["code"]) << form << " " << one["name"];
    EXPECT_EQ(result.error().pointer, "/offer" + one["pointer"].get<std::string>())
        << form << " " << one["name"];
  }
}

TEST(PolicyForm, GoodPoliciesPass) {
  for (const Json& one : read_json(data_folder() / "good-policies.json")) {
    const std::string form = one["form"];
    const Json policy = changed(base_policy(form), one["change"]);
    const auto result = check_wire_policy(policy, form_of(form), {}, origin_of(one));
    EXPECT_TRUE(result) << form << " " << one["name"] << " " << result.error().message.code << " "
                        << result.error().pointer;
  }
}

TEST(PolicyForm, OurOwnPoliciesAreHeldToMoreThanThoseOfPeers) {
  for (const Json& one : read_json(data_folder() / "bad-policies.json")) {
    if (one["origin"] == "own") continue;
    const std::string form = one["form"];
    const Json policy = changed(base_policy(form), one["change"]);
    EXPECT_FALSE(check_wire_policy(policy, form_of(form), {}, PolicyOrigin::own)) << one["name"];
  }
}

TEST(PolicyForm, AnyValueInAnyPlaceIsHandled) {
  const std::vector<Json> values{nullptr, 1, "x", Json::array(), Json::object(), Json{{"or", 1}}};
  for (const char* form : {"catalogue", "message", "agreement"}) {
    const Json policy = base_policy(form);
    for (const Json::json_pointer& at : all_places(policy)) {
      for (const Json& value : values) {
        Json broken = policy;
        broken[at] = value;
        for (const auto origin : {PolicyOrigin::peer, PolicyOrigin::own}) {
          (void)check_wire_policy(broken, form_of(form), {}, origin);
        }
        (void)policy_core(broken);
        (void)with_wire_terms(broken);
      }
    }
  }
  for (const Json& value : values) {
    EXPECT_FALSE(check_wire_policy(value, PolicyForm::message_offer));
    (void)policy_core(value);
  }
}

TEST(PolicyForm, OfferAndAgreementOfTheSameWordsHaveTheSameCore) {
  const Json offer = base_policy("catalogue");
  EXPECT_EQ(to_jcs(policy_core(offer)), to_jcs(policy_core(base_policy("message"))));
  EXPECT_EQ(to_jcs(policy_core(offer)), to_jcs(policy_core(base_policy("agreement"))));
  Json wider = base_policy("agreement");
  wider["permission"][0]["constraint"].erase(0);
  EXPECT_NE(to_jcs(policy_core(offer)), to_jcs(policy_core(wider)));
  Json noted = base_policy("agreement");
  noted["x:note"] = "also part of what was agreed";
  EXPECT_NE(to_jcs(policy_core(offer)), to_jcs(policy_core(noted)));
}

TEST(PolicyForm, TheCoreIsTheSameWhetherAReaderCompactedTheListsOrNot) {
  const Json lists = Json::parse(R"({"@id":"a","permission":[{"action":"use","constraint":[],
      "duty":[{"action":"use"}]}],"profile":["p"]})");
  const Json single = Json::parse(R"({"@id":"b","@type":"Offer","permission":{"action":"use",
      "duty":{"action":"use"}},"profile":"p"})");
  EXPECT_EQ(to_jcs(policy_core(lists)), to_jcs(policy_core(single)));
}

TEST(PolicyForm, OrderOfRulesIsKept) {
  const Json ab = Json::parse(R"({"permission":[{"action":"a:a"},{"action":"a:b"}]})");
  const Json ba = Json::parse(R"({"permission":[{"action":"a:b"},{"action":"a:a"}]})");
  EXPECT_NE(to_jcs(policy_core(ab)), to_jcs(policy_core(ba)));
}

TEST(PolicyForm, RulesAreTheSameHoweverATermIsSpelt) {
  const auto with = [](const char* operand, const char* action) {
    return Json{
        {"permission",
         {{{"action", action},
           {"constraint",
            {{{"leftOperand", operand}, {"operator", "eq"}, {"rightOperand", "x"}}}}}}}};
  };
  const Json asked = with("http://www.w3.org/ns/odrl/2/purpose", "use");
  for (const char* spelt : {"purpose", "odrl:purpose", "http://www.w3.org/ns/odrl/2/purpose"}) {
    EXPECT_TRUE(same_rules(with(spelt, "odrl:use"), asked)) << spelt;
  }
  for (const char* other : {"odrl:event", "edc:purpose", "tally:purpose", "urn:purpose"}) {
    EXPECT_FALSE(same_rules(with(other, "use"), asked)) << other;
  }
  EXPECT_FALSE(same_rules(with("purpose", "odrl:read"), asked));
  EXPECT_TRUE(same_rules(
      with("edc:inForceDate", "use"), with("https://w3id.org/edc/v0.0.1/ns/inForceDate", "use")
  ));
}

TEST(PolicyForm, TermsBecomeFullIrisWhereTheContextHasNone) {
  const Json written = Json::parse(R"({"permission":[{"action":"odrl:use","constraint":[
      {"leftOperand":"count","operator":"lteq","rightOperand":"3"},
      {"or":[{"leftOperand":"tally:countedBy","operator":"eq","rightOperand":"provider"},
             {"and":[{"leftOperand":"odrl:purpose","operator":"eq","rightOperand":"x"}]}]},
      {"leftOperand":"https://a.example/term","operator":"eq","rightOperand":"x"}],
      "duty":[{"action":"delete"}]}],
      "prohibition":[{"action":"use"},{"action":"tally:export"}]})");
  const Json wire = with_wire_terms(written);
  const auto constraint = wire["permission"][0]["constraint"];
  EXPECT_EQ(wire["permission"][0]["action"], "use");
  EXPECT_EQ(constraint[0]["leftOperand"], "http://www.w3.org/ns/odrl/2/count");
  EXPECT_EQ(constraint[1]["or"][0]["leftOperand"], "urn:tally:profile:1#countedBy");
  EXPECT_EQ(constraint[1]["or"][1]["and"][0]["leftOperand"], "http://www.w3.org/ns/odrl/2/purpose");
  EXPECT_EQ(constraint[2]["leftOperand"], "https://a.example/term");
  EXPECT_EQ(wire["permission"][0]["duty"][0]["action"], "http://www.w3.org/ns/odrl/2/delete");
  EXPECT_EQ(wire["prohibition"][0]["action"], "use");
  EXPECT_EQ(wire["prohibition"][1]["action"], "urn:tally:profile:1#export");
  EXPECT_EQ(to_jcs(with_wire_terms(wire)), to_jcs(wire));
}

}  // namespace tally::dsp
