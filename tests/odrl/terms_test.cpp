#include "tally/odrl/terms.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tally/odrl/vocabulary.hpp"

#include "odrl/context.hpp"
#include "policies.hpp"

namespace tally::odrl {
namespace {

std::string odrl_iri(std::string_view name) {
  return std::string(iri::odrl) + std::string(name);
}

TEST(Terms, TheTreeOfActions) {
  struct Row {
    std::string action, ancestor;
    bool below;
  };
  const std::vector<Row> table{
      {odrl_iri("use"), odrl_iri("use"), true},
      {odrl_iri("read"), odrl_iri("use"), true},
      {odrl_iri("use"), odrl_iri("read"), false},
      {odrl_iri("display"), odrl_iri("play"), true},
      {odrl_iri("display"), odrl_iri("use"), true},
      {odrl_iri("extract"), odrl_iri("reproduce"), true},
      {odrl_iri("sell"), odrl_iri("transfer"), true},
      {odrl_iri("sell"), odrl_iri("use"), false},
      {odrl_iri("transfer"), odrl_iri("use"), false},
      {odrl_iri("give"), odrl_iri("transfer"), true},
      {std::string(iri::export_), odrl_iri("reproduce"), true},
      {std::string(iri::export_), odrl_iri("use"), true},
      {std::string(iri::export_), odrl_iri("distribute"), false},
      {odrl_iri("export"), std::string(iri::export_), false},
      {odrl_iri("export"), odrl_iri("transform"), true},
      {odrl_iri("copy"), odrl_iri("reproduce"), true},
      {odrl_iri("lend"), odrl_iri("use"), false},
      {odrl_iri("lend"), odrl_iri("lend"), true},
      {std::string(iri::cc) + "Sharing", odrl_iri("use"), true},
      {"urn:x", "urn:x", false},
      {"urn:x", odrl_iri("use"), false},
  };
  for (const auto& row : table) {
    EXPECT_EQ(is_or_below(row.action, row.ancestor), row.below)
        << row.action << " " << row.ancestor;
  }
}

TEST(Terms, EveryListedActionIsKnownOnceAndEndsInARoot) {
  std::set<std::string_view> seen;
  for (const auto action : action_iris()) {
    EXPECT_TRUE(seen.insert(action).second) << action;
    EXPECT_EQ(canonical_action(action), action);
  }
  EXPECT_EQ(seen.size(), known_actions().size());
  // ODRL 2.2 has 41 that are not deprecated, and 8 that are without a successor.
  EXPECT_EQ(std::ranges::count_if(seen, [](auto one) { return one.starts_with(iri::odrl); }), 50);
}

TEST(Terms, DeprecatedActionsBecomeTheirEquivalents) {
  const std::vector<std::pair<std::string, std::string>> table{
      {odrl_iri("append"), odrl_iri("modify")},
      {odrl_iri("appendTo"), odrl_iri("modify")},
      {odrl_iri("write"), odrl_iri("modify")},
      {odrl_iri("writeTo"), odrl_iri("modify")},
      {odrl_iri("copy"), odrl_iri("reproduce")},
      {odrl_iri("pay"), odrl_iri("compensate")},
      {odrl_iri("license"), odrl_iri("grantUse")},
      {odrl_iri("export"), odrl_iri("transform")},
      {odrl_iri("commercialize"), std::string(iri::cc) + "CommercialUse"},
      {odrl_iri("attachPolicy"), std::string(iri::cc) + "Notice"},
      {odrl_iri("attachSource"), std::string(iri::cc) + "SourceCode"},
      {odrl_iri("share"), std::string(iri::cc) + "Sharing"},
      {odrl_iri("shareAlike"), std::string(iri::cc) + "ShareAlike"},
  };
  for (const auto& [from, to] : table) EXPECT_EQ(canonical_action(from), to) << from;
  EXPECT_FALSE(canonical_action("urn:x"));
}

TEST(Terms, OperatorsStandInTheOrderOfTheirEnum) {
  EXPECT_EQ(operator_word(Operator::eq), "eq");
  EXPECT_EQ(operator_word(Operator::gteq), "gteq");
  EXPECT_EQ(operator_word(Operator::is_any_of), "isAnyOf");
  EXPECT_EQ(operator_word(Operator::has_part), "hasPart");
  EXPECT_EQ(known_operators().size(), 12U);
  for (const auto word : known_operators()) {
    EXPECT_EQ(operator_word(*find_operator(word)), word);
    EXPECT_EQ(find_operator(std::string(iri::odrl) + std::string(word)), find_operator(word));
  }
  EXPECT_EQ(find_operator("neg"), Operator::neq);
  EXPECT_FALSE(find_operator("near"));
}

TEST(Terms, OdrlsLeftOperandsAreAllThereOnce) {
  std::set<std::string_view> seen;
  std::size_t odrl = 0;
  for (const auto& term : known_operands()) {
    EXPECT_TRUE(seen.insert(term.iri).second) << term.iri;
    EXPECT_EQ(&known_operands()[*find_operand(term.iri)], &term);
    odrl += term.iri.starts_with(iri::odrl) ? 1U : 0U;
    const bool condition = term.role == OperandRole::condition;
    EXPECT_EQ(term.vouchers.empty(), !condition) << term.iri;
  }
  EXPECT_EQ(odrl, 34U);
}

// policies/profile/tally.jsonld is what others read of the profile: it says of each term what the
// engine holds it to be, and of no other.
std::map<std::string, Json> published_profile() {
  std::ifstream file(std::filesystem::path(TALLY_SOURCE_DIR) / "policies/profile/tally.jsonld");
  const auto document = Json::parse(file);
  std::map<std::string, Json> out;
  for (const auto& node : document["@graph"]) {
    auto id = node["@id"].get<std::string>();
    if (id.starts_with("tally:")) out[std::string(iri::profile_terms) + id.substr(6)] = node;
  }
  return out;
}

Json labels_of(const Json& term) {
  return Json::array(
      {{{"@language", "en"}, {"@value", term["english"]}},
       {{"@language", "zh"}, {"@value", term["chinese"]}}}
  );
}

TEST(Terms, ThePublishedProfileIsTheOneThatIsEnforced) {
  auto published = published_profile();
  const auto take = [&](const std::string& id) {
    const auto found = published.find(id);
    if (found == published.end()) return Json(Json::object());
    auto out = std::move(found->second);
    published.erase(found);
    return out;
  };
  const auto terms = policy_terms();
  for (const auto& term : terms["leftOperands"]) {
    const auto id = term["leftOperand"].get<std::string>();
    if (!id.starts_with(iri::profile_terms)) continue;
    auto told = take(id);
    for (auto& op : told["tally:operator"]) {
      op = op.get<std::string>().substr(std::string_view("odrl:").size());
    }
    EXPECT_EQ(told["tally:operator"], term["operators"]) << id;
    EXPECT_EQ(told["tally:valueType"], term["type"]) << id;
    EXPECT_EQ(told["tally:role"], term["role"]) << id;
    EXPECT_EQ(told["tally:belongsTo"], term["belongsTo"]) << id;
    EXPECT_EQ(told["skos:prefLabel"], labels_of(term)) << id;
    EXPECT_EQ(told.value("tally:voucher", Json::array()), term["vouchedBy"]) << id;
  }
  for (const auto& term : terms["actions"]) {
    const auto id = term["action"].get<std::string>();
    if (!id.starts_with(iri::profile_terms)) continue;
    auto told = take(id);
    const auto parent = Context().expand(told.value("odrl:includedIn", ""));
    EXPECT_EQ(Json(parent), term["includedIn"]) << id;
    EXPECT_EQ(told["tally:dutyPhase"], term["duty"]["phase"]) << id;
    EXPECT_EQ(told["skos:prefLabel"], labels_of(term)) << id;
  }
  for (const auto& alias : action_aliases()) {
    if (!alias.from.starts_with(iri::profile_terms)) continue;
    const auto told = take(std::string(alias.from));
    EXPECT_EQ(Context().expand(told.value("skos:exactMatch", "")), alias.to);
  }
  for (const auto& [id, node] : published) ADD_FAILURE() << id << " is published and unknown";
}

TEST(Terms, TheCodesOfIdsAreMetInBothCases) {
  const std::string ids(iri::ids_code);
  EXPECT_EQ(find_action(ids + "log"), find_action(ids + "LOG"));
  EXPECT_EQ(find_operand(ids + "security_level"), find_operand(ids + "SECURITY_LEVEL"));
  EXPECT_FALSE(find_action("https://w3id.org/idsa/core/LOG"));
}

}  // namespace
}  // namespace tally::odrl
