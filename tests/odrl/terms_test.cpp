#include "tally/odrl/terms.hpp"

#include <set>

#include <gtest/gtest.h>

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
  for (const auto action : known_actions()) {
    EXPECT_TRUE(seen.insert(action).second) << action;
    EXPECT_EQ(canonical_action(action), action);
  }
  EXPECT_EQ(seen.size(), 60U);
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

TEST(Terms, OperandsAndOperatorsStandInTheOrderOfTheirEnums) {
  EXPECT_EQ(operand_iri(Operand::date_time), iri::date_time);
  EXPECT_EQ(operand_iri(Operand::count), iri::count);
  EXPECT_EQ(operand_iri(Operand::purpose), iri::purpose);
  EXPECT_EQ(operand_iri(Operand::elapsed_time), iri::elapsed_time);
  EXPECT_EQ(operator_word(Operator::eq), "eq");
  EXPECT_EQ(operator_word(Operator::gteq), "gteq");
  EXPECT_EQ(operator_word(Operator::is_any_of), "isAnyOf");
  EXPECT_EQ(operator_word(Operator::has_part), "hasPart");
  EXPECT_EQ(known_operators().size(), 12U);
  // ODRL's 34 operands are all known, if only to be refused by name.
  EXPECT_EQ(known_operands().size() - 1 + reserved_operands().size(), 34U);
}

}  // namespace
}  // namespace tally::odrl
