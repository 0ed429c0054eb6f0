#include "tally/odrl/explain.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include <gtest/gtest.h>

#include "tally/odrl/compare.hpp"

#include "policies.hpp"

namespace tally::odrl {
namespace {

using test::agreement;
using test::atom;
using test::load;
using test::request;
using test::world;

std::string text(const Decision& decision, Lang lang = Lang::en) {
  std::string out;
  for (const auto& message : explain(decision)) out += render(message, lang) + "\n";
  return out;
}

std::vector<std::string> codes(const Decision& decision) {
  std::vector<std::string> out;
  for (const auto& message : explain(decision)) out.push_back(message.code);
  return out;
}

bool mentions(const std::string& text, const std::string& piece) {
  return text.find(piece) != std::string::npos;
}

bool mentions(const std::vector<std::string>& list, const std::string& one) {
  return std::ranges::find(list, one) != list.end();
}

Json contract() {
  return agreement(Json::array(
      {atom("purpose", "isAnyOf", Json::array({test::research})),
       atom("count", "lteq", 3),
       atom("dateTime", "lt", "2026-06-01T00:00:00Z")}
  ));
}

TEST(Explain, TheFourthReadSaysThatThreeOfThreeAreUsed) {
  const std::vector<UsageEntry> usage{{RuleId("urn:test:rule"), RuleUsage{3, {}, {}}}};
  auto state = world();
  state.usage = usage;
  const auto decision = evaluate(*load(contract()), request(), state, {Explain::decisive});
  EXPECT_EQ(
      codes(decision),
      (std::vector<std::string>{
          "odrl.reason-no-active-permission",
          "odrl.rule-closest",
          "odrl.limit-reached",
          "odrl.would-not-change"})
  );
  EXPECT_TRUE(mentions(text(decision), "3 of 3 uses are used"));
  EXPECT_TRUE(mentions(text(decision, Lang::zh), "3 次使用已用 3 次"));
  const auto& count = decision.rules.at(0).constraints.at(1);
  EXPECT_EQ(count.because, "limit-reached");
  EXPECT_EQ(count.limit, 3);
  EXPECT_EQ(count.used, 3);
  EXPECT_EQ(count.pointer, "/permission/0/constraint/1");
  EXPECT_EQ(count.source, Source::measured);
}

TEST(Explain, AWrongPurposeSaysRequiredFoundAndWhoseWordItIs) {
  auto asked = request();
  test::declare(asked, {"urn:test:purpose:marketing"}, Source::registration);
  auto state = world();
  const auto decision = evaluate(*load(contract()), asked, state, {Explain::decisive});
  EXPECT_EQ(
      codes(decision),
      (std::vector<std::string>{
          "odrl.reason-no-active-permission",
          "odrl.rule-closest",
          "odrl.constraint-fails",
          "odrl.source-registration",
          "odrl.would-change"})
  );
  const auto sentences = text(decision);
  EXPECT_TRUE(mentions(sentences, test::research));
  EXPECT_TRUE(mentions(sentences, "urn:test:purpose:marketing"));
  EXPECT_TRUE(mentions(sentences, "/permission/0/constraint/0"));
}

TEST(Explain, TheEndSaysWhenItWas) {
  const auto decision =
      evaluate(*load(contract()), request(), world("2026-06-01T00:00:00Z"), {Explain::decisive});
  EXPECT_TRUE(mentions(codes(decision), "odrl.time-ended"));
  EXPECT_EQ(codes(decision).back(), "odrl.would-not-change");  // no request brings time back
  EXPECT_TRUE(mentions(text(decision), "2026-06-01T00:00:00Z"));
}

TEST(Explain, AnUnknownSaysWhatToSupply) {
  auto asked = request();
  test::declare(asked, {});
  const auto policy = load(contract());
  const auto decision = evaluate(*policy, asked, world(), {Explain::decisive});
  EXPECT_EQ(decision.reason, Reason::undecidable);
  EXPECT_TRUE(mentions(codes(decision), "odrl.missing-value"));
  EXPECT_EQ(codes(decision).back(), "odrl.would-change");
  // Without a report the errors still say it.
  EXPECT_EQ(codes(evaluate(*policy, asked, world())).back(), "odrl.missing-value");
}

TEST(Explain, TheClosestRuleIsTheOneThatFailsLeast) {
  auto document = contract();
  document["permission"].insert(
      document["permission"].begin(), Json{{"@id", "urn:test:print"}, {"action", "print"}}
  );
  const std::vector<UsageEntry> usage{{RuleId("urn:test:rule"), RuleUsage{3, {}, {}}}};
  auto state = world();
  state.usage = usage;
  const auto policy = load(document);
  EXPECT_EQ(evaluate(*policy, request(), state).decisive_rule.value, "urn:test:rule");
  const auto full = evaluate(*policy, request(), state, {Explain::full});
  EXPECT_TRUE(mentions(text(full), "The rule is about print; asked was read."));
}

TEST(Explain, APermitListsItsConstraints) {
  const auto decision = evaluate(*load(contract()), request(), world(), {Explain::decisive});
  EXPECT_EQ(
      codes(decision),
      (std::vector<std::string>{
          "odrl.reason-permitted",
          "odrl.rule-permits",
          "odrl.constraint-holds",
          "odrl.source-asserted",
          "odrl.count-holds",
          "odrl.constraint-holds"})
  );
}

TEST(Explain, APremiseThatFailsIsNamed) {
  auto asked = request();
  asked.assignee = "urn:test:broker";
  const auto decision = evaluate(*load(agreement()), asked, world(), {Explain::decisive});
  EXPECT_TRUE(mentions(codes(decision), "odrl.premise-party"));
  EXPECT_EQ(codes(decision).back(), "odrl.would-change");
  EXPECT_TRUE(mentions(text(decision), "urn:test:broker"));
}

// Every code that the sources of this module name has its sentence, and every sentence is used.
TEST(Explain, EverySentenceIsThereAndUsed) {
  std::set<std::string> named;
  const std::regex code(R"("(odrl\.[A-Za-z-]+)\")");
  const std::filesystem::path folder = std::filesystem::path(TALLY_SOURCE_DIR) / "src/odrl";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream stream(entry.path());
    const std::string content{std::istreambuf_iterator<char>(stream), {}};
    for (std::sregex_iterator it(content.begin(), content.end(), code), end; it != end; ++it) {
      named.insert((*it)[1]);
    }
  }
  ASSERT_GT(named.size(), 50U);
  std::set<std::string> table;
  for (const auto& sentence : sentence_table()) {
    if (sentence.code.starts_with("odrl.")) table.emplace(sentence.code);
  }
  for (const auto& one : named) {
    if (one.ends_with('-')) continue;  // the beginning of a family, checked below
    EXPECT_TRUE(table.contains(one)) << one;
  }
  std::set<std::string> families{
      "odrl.premise-action", "odrl.premise-target", "odrl.premise-party"};
  const auto family = [&](const std::string& stem, const std::vector<std::string>& members) {
    for (const auto& one : members) families.insert("odrl." + stem + one);
  };
  for (int i = 0; i <= static_cast<int>(Reason::clock_unreliable); ++i) {
    family("reason-", {std::string(to_string(static_cast<Reason>(i)))});
  }
  for (int i = 0; i <= static_cast<int>(Verdict::unknown); ++i) {
    family("compare-", {std::string(to_string(static_cast<Verdict>(i)))});
  }
  for (const auto word : known_operators()) family("phrase-", {std::string(word)});
  for (const auto& term : known_operands()) family("operand-", {std::string(local_name(term.iri))});
  for (const auto& term : known_actions()) family("action-", {std::string(local_name(term.iri))});
  family("source-", {"certificate", "registration", "asserted"});
  family("voucher-", {"measured", "certificate", "registration", "asserted"});
  family("side-", {"provider", "consumer"});
  family("say-duty-", {"before", "with", "after"});
  family(
      "",
      {"state-unavailable",
       "clock-unreliable",
       "missing-value",
       "incomparable",
       "unit-mismatch",
       "reference-unresolved",
       "not-attested"}
  );
  for (const auto& one : families) EXPECT_TRUE(table.contains(one)) << one;
  for (const auto& one : table) {
    const bool listed = one.ends_with("-listed") && named.contains(one.substr(0, one.size() - 7));
    EXPECT_TRUE(named.contains(one) || families.contains(one) || listed) << one;
  }
}

}  // namespace
}  // namespace tally::odrl
