// What an offer may say of groups, and what is made of it.
#include "tally/aggregates/group_terms.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "aggregates/table.hpp"

namespace tally::aggregates {
namespace {

Json constraint(const char* operand, const char* op, Json value) {
  return {
      {"leftOperand", std::string("urn:tally:profile:1#") + operand},
      {"operator", op},
      {"rightOperand", std::move(value)}};
}

Json number(int value) {
  return {{"@value", std::to_string(value)}, {"@type", "xsd:integer"}};
}

const char* const aggregate = "http://www.w3.org/ns/odrl/2/aggregate";

Json permission(const char* action, Json constraints) {
  Json out{{"action", action}};
  if (!constraints.empty()) out["constraint"] = std::move(constraints);
  return out;
}

odrl::PolicyPtr load(Json permissions) {
  const Json document{
      {"@context", "http://www.w3.org/ns/odrl.jsonld"},
      {"@type", "Offer"},
      {"uid", "urn:example:offer:groups"},
      {"profile", "urn:tally:profile:1"},
      {"assigner", "urn:example:party:owner"},
      {"target", "urn:example:asset:data"},
      {"permission", std::move(permissions)}};
  odrl::LoadOptions options;
  options.default_owner = odrl::Side::provider;
  auto loaded = odrl::load_policy(document, options);
  if (!loaded) {
    throw std::runtime_error(
        loaded.error().front().pointer + " " + render(loaded.error().front().message, Lang::en)
    );
  }
  return *loaded;
}

catalog::Schema schema() {
  auto out = schema_of({{"name", catalog::ColumnType::text}, {"n", catalog::ColumnType::integer}});
  out.columns[0].privacy = "name";
  return out;
}

struct Case {
  const char* name;
  Json permissions;
  std::vector<std::string> codes;
};

TEST(GroupTerms, WhatAnOfferMaySay) {
  const Json size = constraint("minGroupSize", "gteq", number(10));
  const Json filter = constraint("rowFilter", "eq", "n gt 5");
  const Json no_column = constraint("rowFilter", "eq", "m gt 5");
  const Json count{{"leftOperand", "count"}, {"operator", "lteq"}, {"rightOperand", number(5)}};
  const auto groups = [&](Json constraints) {
    return Json::array({permission(aggregate, std::move(constraints))});
  };
  const std::vector<Case> cases = {
      {"the smallest", groups({size}), {}},
      {"everything",
       groups(
           {size,
            constraint("functions", "isAnyOf", {"count", "min"}),
            constraint("cellBudget", "lteq", number(100)),
            filter,
            count}
       ),
       {}},
      {"no size", groups({filter}), {"aggregates.offer-no-group-size"}},
      {"a group of one",
       groups({constraint("minGroupSize", "gteq", number(1))}),
       {"aggregates.offer-group-size-value"}},
      {"an unknown function",
       groups({size, constraint("functions", "isAnyOf", {"count", "median"})}),
       {"aggregates.offer-functions"}},
      {"no cell",
       groups({size, constraint("cellBudget", "lteq", number(0))}),
       {"aggregates.offer-cell-budget"}},
      {"a row filter on no column", groups({size, no_column}), {"dataplane.shape-unknown-column"}},
      {"so many rows",
       groups({size, constraint("maxRows", "lteq", number(5))}),
       {"aggregates.offer-max-rows"}},
      {"rows in groups",
       Json::array({permission("use", {size})}),
       {"aggregates.offer-not-aggregate"}},
      {"use beside it",
       Json::array({permission(aggregate, {size}), permission("use", Json::array())}),
       {"aggregates.offer-beside-use"}},
      {"read beside it",
       Json::array(
           {permission(aggregate, {size}), permission("http://www.w3.org/ns/odrl/2/read", {filter})}
       ),
       {}},
      {"rows alone", Json::array({permission("use", {filter})}), {}},
  };
  const auto columns = schema();
  for (const auto& one : cases) {
    std::vector<std::string> codes;
    for (const auto& problem : check_groups(*load(one.permissions), &columns, true)) {
      codes.push_back(problem.message.code);
      EXPECT_FALSE(problem.pointer.empty()) << one.name;
    }
    EXPECT_EQ(codes, one.codes) << one.name;
  }
  const auto problems = check_groups(*load(groups({size})), nullptr, true);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems.front().message.code, "aggregates.offer-no-schema");
}

TEST(GroupTerms, TheStrictestOfEachIsKept) {
  const auto policy = load(Json::array({permission(
      aggregate,
      {constraint("minGroupSize", "gteq", number(5)),
       constraint("minGroupSize", "gteq", number(20)),
       constraint("functions", "isAnyOf", {"count", "sum", "max"}),
       constraint("functions", "isAnyOf", {"max", "count"}),
       constraint("cellBudget", "lteq", number(100)),
       constraint("cellBudget", "lteq", number(60)),
       constraint("columns", "isAnyOf", {"n"})}
  )}));
  const auto terms = group_terms(*policy, policy->rules().front().id);
  ASSERT_TRUE(terms);
  EXPECT_EQ(terms->min_group_size, 20U);
  EXPECT_EQ(terms->functions, (std::set{Function::count, Function::max}));
  EXPECT_EQ(terms->cell_budget, 60);
  EXPECT_TRUE(terms->columns_named);
}

TEST(GroupTerms, MinAndMaxHaveToBeNamed) {
  const auto policy = load(Json::array(
      {permission(aggregate, Json::array({constraint("minGroupSize", "gteq", number(5))}))}
  ));
  const auto terms = group_terms(*policy, policy->rules().front().id);
  ASSERT_TRUE(terms);
  EXPECT_EQ(terms->functions, (std::set{Function::count, Function::sum, Function::avg}));
  EXPECT_FALSE(terms->cell_budget);
}

}  // namespace
}  // namespace tally::aggregates
