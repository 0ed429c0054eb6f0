#include "tally/odrl/exchange.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/odrl/explain.hpp"
#include "tally/odrl/vocabulary.hpp"

#include "policies.hpp"

namespace tally::odrl {
namespace {

using test::agreement;
using test::atom;

std::string fault(const Result<std::unique_ptr<WorldDocument>>& world) {
  return world ? "" : world.error().message.code + " " + world.error().pointer;
}

TEST(Exchange, AMisspeltMemberIsRefusedWithTheClosestOne) {
  const auto request = read_request({{"asignee", "urn:a"}});
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().message.code, "odrl.unknown-member");
  EXPECT_EQ(request.error().message.params.at("closest"), "assignee");
  EXPECT_EQ(request.error().pointer, "/asignee");
}

TEST(Exchange, AWorldOfAnotherShapeIsRefusedWithItsPlace) {
  struct Row {
    Json world;
    const char* expected;
  };
  for (const auto& row : std::vector<Row>{
           {Json::array(), "odrl.member-type "},
           {{{"curentTime", "x"}}, "odrl.unknown-member /curentTime"},
           {{{"currentTime", 3}}, "odrl.member-type /currentTime"},
           {{{"currentTime", "soon"}}, "odrl.invalid-literal /currentTime"},
           {{{"clock", "fast"}}, "odrl.member-type /clock"},
           {{{"side", "left"}}, "odrl.member-type /side"},
           {{{"usage", {{{"rule", "urn:r"}, {"count", -1}}}}}, "odrl.member-type /usage/0/count"},
           {{{"usage", {{{"rule", "urn:r"}, {"cuont", 1}}}}}, "odrl.unknown-member /usage/0/cuont"},
           {{{"usage", Json::object()}}, "odrl.member-type /usage"},
           {{{"memberships", {"urn:a"}}}, "odrl.member-type /memberships/0"},
           {{{"attributes", {{"urn:a", 3}}}}, "odrl.member-type /attributes/urn:a"},
           {{{"operandValues", {{"count", Json::array({Json::array()})}}}},
            "odrl.member-type /operandValues/count/0"},
       }) {
    EXPECT_EQ(fault(read_world(row.world)), row.expected) << row.world.dump();
  }
}

TEST(Exchange, WithoutATimeTheClockIsInDoubt) {
  const auto world = read_world(Json::object());
  ASSERT_TRUE(world);
  EXPECT_FALSE((*world)->world.clock_reliable);
  EXPECT_TRUE((*world)->world.usage_known);
  const auto unread = read_world({{"usage", nullptr}});
  EXPECT_FALSE((*unread)->world.usage_known);
}

TEST(Exchange, AnAttributeSaysWhetherItWasVerified) {
  const auto world =
      read_world({{"attributes", {{"urn:a", {{"purpose", {{"@value", "x"}, {"verified", true}}}}}}}}
      );
  ASSERT_TRUE(world);
  ASSERT_EQ((*world)->facts.size(), 1U);
  EXPECT_EQ((*world)->facts[0].source, Source::certificate);
  EXPECT_EQ((*world)->facts[0].operand, iri::purpose);
  EXPECT_EQ((*world)->facts[0].entity, "urn:a");
}

TEST(Exchange, ADecisionTellsEachConstraintAndWhoVouches) {
  const auto policy = test::load(
      agreement(Json::array({atom("purpose", "eq", test::research), atom("count", "lteq", 3)}))
  );
  const std::vector<UsageEntry> usage{{RuleId("urn:test:rule"), RuleUsage{2, {}, {}}}};
  auto world = test::world();
  world.usage = usage;
  const auto json = to_json(evaluate(*policy, test::request(), world, {Explain::full}), Lang::en);
  EXPECT_EQ(json["decision"], "permit");
  EXPECT_EQ(json["reason"], "permitted");
  EXPECT_EQ(json["consume"]["rule"], "urn:test:rule");
  const auto& rule = json["rules"][0];
  EXPECT_EQ(rule["activationState"], "Active");
  EXPECT_EQ(rule["constraints"][0]["actual"], test::research);
  EXPECT_EQ(rule["constraints"][0]["vouchedBy"], "asserted");
  EXPECT_EQ(rule["constraints"][1]["used"], 2);
  EXPECT_EQ(rule["constraints"][1]["limit"], 3);
}

// Who only has the word of the one it binds does not know.
TEST(Vouchers, AnAssertedValueIsUnknownWhereAttestedOnesAreDemanded) {
  const auto policy = test::load(
      agreement(Json::array(
          {atom("purpose", "eq", test::research),
           atom(
               "urn:tally:profile:1#vouchedBy",
               "isAnyOf",
               Json::array({"measured", "certificate", "registration"})
           )}
      )),
      [] {
        LoadOptions options;
        options.enforced_only = false;
        return options;
      }()
  );
  ASSERT_TRUE(policy);
  auto request = test::request();
  test::declare(request, {test::research}, Source::asserted);
  const auto asserted = evaluate(*policy, request, test::world(), {Explain::decisive});
  EXPECT_EQ(asserted.reason, Reason::undecidable);
  ASSERT_EQ(asserted.errors.size(), 1U);
  EXPECT_EQ(asserted.errors[0].message.code, "odrl.not-attested");
  EXPECT_EQ(asserted.rules[0].constraints[0].because, "not-attested");
  test::declare(request, {test::research}, Source::registration);
  EXPECT_TRUE(evaluate(*policy, request, test::world()).permit);
}

TEST(Vocabulary, TellsOfEachOperandItsTypeOperatorsAndVouchers) {
  const auto terms = policy_terms();
  std::size_t odrl = 0;
  for (const auto& one : terms.at("leftOperands")) {
    const auto iri = one.at("leftOperand").get<std::string>();
    odrl += iri.starts_with(iri::odrl) ? 1U : 0U;
    EXPECT_FALSE(one.at("operators").empty()) << iri;
    EXPECT_FALSE(one.at("english").get<std::string>().starts_with("odrl.")) << iri;
    if (one.at("role") == "condition") EXPECT_FALSE(one.at("vouchedBy").empty()) << iri;
  }
  EXPECT_EQ(odrl, 34U);
  EXPECT_EQ(terms.at("operators").size(), 12U);
  EXPECT_EQ(terms.at("aliases").at("http://www.w3.org/ns/odrl/2/copy"), iri::reproduce);
}

TEST(ReadOut, SaysEachRuleInBothLanguages) {
  auto document = agreement(
      Json::array({atom("count", "lteq", 3), atom("dateTime", "lt", "2027-01-01T00:00:00Z")})
  );
  document["prohibition"] = Json::array({Json{{"action", "distribute"}}});
  document["obligation"] = Json::array({Json{
      {"action", "delete"}, {"constraint", Json::array({atom("delayPeriod", "lteq", "P30D")})}}});
  document["conflict"] = "prohibit";
  const auto policy = test::load(document);
  const auto has = [](const std::vector<std::string>& lines, const std::string& piece) {
    return std::ranges::any_of(lines, [&](const std::string& line) {
      return line.find(piece) != std::string::npos;
    });
  };
  const auto english = read_out(*policy, Lang::en);
  EXPECT_TRUE(has(english, "urn:test:institute may use: urn:test:cohort."));
  EXPECT_TRUE(has(english, "the number of uses, this one included is at most 3"));
  EXPECT_TRUE(has(english, "the time is before 2027-01-01T00:00:00Z"));
  EXPECT_TRUE(has(english, "must not pass on to others"));
  EXPECT_TRUE(has(english, "has to delete: at most P30D after the use"));
  EXPECT_TRUE(has(english, "the prohibition wins"));
  const auto chinese = read_out(*policy, Lang::zh);
  EXPECT_TRUE(has(chinese, "urn:test:institute可以使用"));
  EXPECT_TRUE(has(chinese, "使用次数（含本次）不超过 3"));
  EXPECT_TRUE(has(chinese, "不得向第三方提供"));
}

}  // namespace
}  // namespace tally::odrl
