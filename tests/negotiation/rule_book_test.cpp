// Rules as they are written: which decides, and what is refused with which place.
#include "tally/negotiation/rule_book.hpp"

#include <gtest/gtest.h>

namespace tally::negotiation {
namespace {

catalog::Document document(const std::string& name, const Json& content) {
  return {name, content.dump(), catalog::Home::file};
}

Json rule(const Json& members) {
  Json rule = {
      {"process", "negotiation"}, {"role", "provider"}, {"state", "REQUESTED"}, {"do", "wait"}};
  rule.update(members);
  return rule;
}

RulesRead read_one(const Json& members) {
  return read_rules({document("rules/a.json", {{"rules", {rule(members)}}})}, Limits{}, {"health"});
}

Situation situation() {
  Situation situation;
  situation.peer = {"health", "did:web:institute.example"};
  situation.asset = AssetId("cohort-2026");
  situation.offer = OfferId("urn:test:offer");
  situation.agreement = AgreementId("urn:test:agreement");
  situation.state = "REQUESTED";
  return situation;
}

TEST(RuleBook, MatchesEveryMemberThatIsWrittenAndNoOther) {
  struct Case {
    Json members;
    bool matches;
  };
  const std::vector<Case> cases = {
      {Json::object(), true},
      {{{"role", "consumer"}, {"state", "OFFERED"}}, false},
      {{{"process", "transfer"}}, false},
      {{{"state", "ACCEPTED"}}, false},
      {{{"occurrence", 1}}, true},
      {{{"occurrence", 2}}, false},
      {{{"peer", {{"domain", "health"}}}}, true},
      {{{"peer", {{"domain", "health"}, {"uri", "did:web:institute.example"}}}}, true},
      {{{"peer", {{"domain", "health"}, {"uri", "did:web:institute"}}}}, false},
      {{{"asset", "cohort-2026"}}, true},
      {{{"asset", "cohort"}}, false},
      {{{"asset", "cohort*"}}, true},
      {{{"asset", "*"}}, true},
      {{{"asset", "x*"}}, false},
      {{{"offer", "urn:test:*"}, {"agreement", "urn:test:agreement"}}, true},
      {{{"offer", "urn:test:*"}, {"agreement", "urn:test:other"}}, false},
  };
  for (const auto& [members, matches] : cases) {
    const auto read = read_one(members);
    ASSERT_TRUE(read.problems.empty()) << members << read.problems.front().message.code;
    EXPECT_EQ(read.book->find(situation()).has_value(), matches) << members;
  }
}

TEST(RuleBook, TheFirstThatMatchesDecidesFileByFile) {
  const auto read = read_rules(
      {document("rules/a.json", {{"rules", {rule({{"asset", "other"}}), rule({{"do", "agree"}})}}}),
       document("rules/b.json", {{"rules", {rule({{"do", "terminate"}, {"reason", "no"}})}}})},
      Limits{}
  );
  const auto found = read.book->find(situation());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->act, Act::agree);
  EXPECT_EQ(found->rule, "rules/a.json#/rules/1");
}

TEST(RuleBook, ReadsTheDelay) {
  const std::map<std::string, Nanos> good = {
      {"PT0S", 0},
      {"PT0.5S", milliseconds(500)},
      {"PT1M", seconds(60)},
      {"P1D", seconds(86'400)},
  };
  for (const auto& [text, span] : good) {
    const auto read = read_one({{"after", text}});
    ASSERT_TRUE(read.problems.empty()) << text;
    EXPECT_EQ(read.book->find(situation())->after, span) << text;
  }
}

TEST(RuleBook, LeavesOutADocumentWithAFaultAndNamesThePlaceAndTheClosestWord) {
  struct Case {
    Json members;
    std::string pointer;
    std::string code;
    std::string closest;
  };
  const std::vector<Case> cases = {
      {{{"proces", "transfer"}}, "/proces", "catalog.misspelt-member", "process"},
      {{{"process", "negotiaton"}}, "/process", "catalog.misspelt-value", "negotiation"},
      {{{"role", "owner"}}, "/role", "catalog.unknown-value", ""},
      {{{"state", "REQUESTD"}}, "/state", "catalog.misspelt-value", "REQUESTED"},
      // Nothing leads out of them.
      {{{"state", "FINALIZED"}}, "/state", "catalog.unknown-value", ""},
      {{{"do", "agre"}}, "/do", "catalog.misspelt-value", "agree"},
      {{{"do", "verify"}}, "/do", "negotiation.rule-act-impossible", ""},
      {{{"do", "start"}}, "/do", "negotiation.rule-act-impossible", ""},
      // The diagram lets only the provider end it here.
      {{{"role", "consumer"}, {"state", "ACCEPTED"}, {"do", "terminate"}},
       "/do",
       "negotiation.rule-act-impossible",
       ""},
      {{{"process", "transfer"}, {"state", "STARTED"}, {"do", "start"}},
       "/do",
       "negotiation.rule-act-impossible",
       ""},
      {{{"occurrence", 0}}, "/occurrence", "catalog.member-type", ""},
      {{{"occurrence", "first"}}, "/occurrence", "catalog.member-type", ""},
      {{{"peer", {{"domain", "helth"}}}}, "/peer/domain", "catalog.misspelt-value", "health"},
      {{{"peer", {{"domain", "health"}, {"uri", ""}}}}, "/peer/uri", "catalog.member-type", ""},
      {{{"asset", "co*rt"}}, "/asset", "catalog.member-type", ""},
      {{{"asset", ""}}, "/asset", "catalog.member-type", ""},
      {{{"after", "PT25H"}}, "/after", "catalog.member-type", ""},
      {{{"after", "P1DT0.1S"}}, "/after", "catalog.member-type", ""},
      {{{"after", "-PT1S"}}, "/after", "catalog.member-type", ""},
      {{{"after", "P1M"}}, "/after", "catalog.member-type", ""},
      {{{"after", "soon"}}, "/after", "catalog.member-type", ""},
      {{{"reason", "x"}}, "/reason", "negotiation.rule-member-idle", ""},
      {{{"do", "terminate"}, {"reason", std::string(401, 'x')}},
       "/reason",
       "catalog.member-type",
       ""},
      {{{"policy", Json::object()}}, "/policy", "negotiation.rule-member-idle", ""},
      {{{"do", "offer"}, {"policy", Json::object()}}, "/policy", "dsp.policy-without-rule", ""},
      {{{"do", "offer"}, {"policy", "use"}}, "/policy", "core.member-type", ""},
  };
  for (const auto& [members, pointer, code, closest] : cases) {
    const auto read = read_one(members);
    ASSERT_FALSE(read.problems.empty()) << members;
    const auto& first = read.problems.front();
    EXPECT_EQ(first.file, "rules/a.json");
    EXPECT_EQ(first.pointer, "/rules/0" + pointer) << members;
    EXPECT_EQ(first.message.code, code) << members;
    if (!closest.empty()) EXPECT_EQ(first.message.params.at("closest"), closest) << members;
    EXPECT_TRUE(read.book->rules().empty()) << members;
  }
}

TEST(RuleBook, ABadDocumentTakesNoOtherWithIt) {
  const auto read = read_rules(
      {{"rules/a.json", "{", catalog::Home::file},
       document("rules/b.json", {{"rules", {rule({{"do", "agree"}})}}}),
       document("rules/c.json", {{"rules", {rule(Json::object()), rule({{"do", "dance"}})}}}),
       document("rules/d.json", {{"rule", Json::array()}})},
      Limits{}
  );
  EXPECT_EQ(read.book->rules().size(), 1U);
  EXPECT_GE(read.problems.size(), 3U);
}

}  // namespace
}  // namespace tally::negotiation
