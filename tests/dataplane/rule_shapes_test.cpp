// Which form belongs to which permission, and what is left to do where some of it was done before.
#include "tally/dataplane/rule_shapes.hpp"

#include <gtest/gtest.h>

#include "shape_fixture.hpp"

namespace tally::dataplane {
namespace {

const Json written = Json::parse(R"({"columns": [
  {"name": "id", "class": "enterprise"},
  {"name": "name", "class": "personal", "privacy": "name"}]})");

Json mask(const std::string& action, const std::string& column, Json more = Json::array()) {
  more.push_back(
      {{"leftOperand", "urn:tally:profile:1#column"}, {"operator", "eq"}, {"rightOperand", column}}
  );
  return {{"action", "urn:tally:profile:1#" + action}, {"constraint", std::move(more)}};
}

Json permission(const std::string& id, const std::string& action, Json duties) {
  Json out{{"uid", "urn:test:" + id}, {"action", action}};
  if (!duties.empty()) out["duty"] = std::move(duties);
  return out;
}

odrl::PolicyPtr policy(Json permissions) {
  const Json document{
      {"@context", "http://www.w3.org/ns/odrl.jsonld"},
      {"@type", "Agreement"},
      {"uid", "urn:test:agreement"},
      {"profile", "urn:tally:profile:1"},
      {"assigner", "urn:example:party:owner"},
      {"assignee", "urn:example:party:user"},
      {"target", "urn:example:asset:data"},
      {"permission", std::move(permissions)}};
  auto loaded = odrl::load_policy(document);
  EXPECT_TRUE(loaded) << (loaded ? "" : render(loaded.error().front().message, Lang::en));
  return *loaded;
}

class RuleShapesTest : public ::testing::Test {
 protected:
  const catalog::Schema schema = schema_of(written);
  const PseudonymKeys keys{as_bytes("0123456789abcdef0123456789abcdef"), "urn:test:agreement"};
  const Json hide = mask("dropColumn", "name");
  const Json pseudonym = mask("pseudonymize", "name");
};

TEST_F(RuleShapesTest, EachPermissionHasItsOwn) {
  const auto terms =
      policy({permission("a", "read", {hide}), permission("b", "read", {pseudonym})});
  const RuleShapes shapes(*terms, &schema, &keys);
  EXPECT_EQ(shapes.common(odrl::iri::read), nullptr);
  ASSERT_NE(shapes.of(RuleId("urn:test:a")), nullptr);
  EXPECT_EQ(shapes.of(RuleId("urn:test:a"))->shape->output().columns.size(), 1U);
  EXPECT_EQ(shapes.of(RuleId("urn:test:b"))->shape->output().columns.size(), 2U);
  EXPECT_EQ(shapes.of(RuleId("urn:test:c")), nullptr);
  EXPECT_FALSE(same_form(*shapes.of(RuleId("urn:test:a")), *shapes.of(RuleId("urn:test:b"))));
}

TEST_F(RuleShapesTest, WhatAllThatCoverAnActShareIsCommon) {
  const auto terms = policy({permission("a", "use", {hide}), permission("b", "read", {hide})});
  const RuleShapes shapes(*terms, &schema, &keys);
  ASSERT_NE(shapes.common(odrl::iri::read), nullptr);
  EXPECT_TRUE(shapes.common(odrl::iri::read)->problems.empty());
  ASSERT_NE(shapes.common(odrl::iri::archive), nullptr);
  EXPECT_EQ(shapes.common(odrl::iri::transfer), nullptr);
}

TEST_F(RuleShapesTest, AMaskedColumnIsPrivateNoMoreAndText) {
  const auto terms = policy({permission("a", "use", {pseudonym})});
  const RuleShapes shapes(*terms, &schema, &keys);
  const auto& out = shapes.common(odrl::iri::read)->shape->output();
  EXPECT_EQ(out.columns.back().privacy, "");
  EXPECT_EQ(out.columns.back().type, catalog::ColumnType::text);
}

TEST_F(RuleShapesTest, WhatCannotBeDoneIsAProblem) {
  const auto masked = policy({permission("a", "use", {pseudonym})});
  const auto code = [](const RuleShapes& shapes) {
    const auto* form = shapes.common(odrl::iri::read);
    return form == nullptr || form->problems.empty() ? "" : form->problems.front().message.code;
  };
  EXPECT_EQ(code(RuleShapes(*masked, &schema, nullptr)), "dataplane.shape-no-key");
  EXPECT_EQ(code(RuleShapes(*masked, nullptr, &keys)), "dataplane.shape-no-schema");
  const auto bare = policy({permission("a", "use", Json::array())});
  EXPECT_EQ(code(RuleShapes(*bare, &schema, &keys)), "dataplane.shape-privacy");
  // Bytes that nobody can look into, and nothing asked of them.
  EXPECT_EQ(code(RuleShapes(*bare, nullptr, nullptr)), "");
  EXPECT_EQ(RuleShapes(*bare, nullptr, nullptr).common(odrl::iri::read)->shape, nullptr);
}

// At the consumer.
TEST_F(RuleShapesTest, WhatWasDoneIsNotDoneTwice) {
  const auto terms = policy(
      {permission("pull", "archive", {pseudonym}),
       permission("same", "read", {pseudonym}),
       permission("more", "derive", {hide})}
  );
  const RuleShapes sent(*terms, &schema, &keys);
  const auto* pull = sent.of(RuleId("urn:test:pull"));
  ASSERT_EQ(pull->duties.size(), 1U);
  const auto arrived = pull->shape->output();
  const RuleShapes left(*terms, &arrived, nullptr, pull->duties);
  EXPECT_EQ(left.of(RuleId("urn:test:same"))->shape, nullptr);
  EXPECT_TRUE(left.of(RuleId("urn:test:same"))->problems.empty());
  ASSERT_TRUE(left.of(RuleId("urn:test:more"))->shape);
  EXPECT_EQ(left.of(RuleId("urn:test:more"))->shape->output().columns.size(), 1U);
  // Nobody said what was done: all of it is.
  const RuleShapes unsaid(*terms, &arrived, nullptr, std::span<const RuleId>());
  EXPECT_FALSE(unsaid.of(RuleId("urn:test:same"))->problems.empty());
}

// The same duty of other values is other work.
TEST_F(RuleShapesTest, AnotherKeyNameIsAnotherPseudonym) {
  const auto named = [&](const std::string& name) {
    return mask(
        "pseudonymize",
        "name",
        {{{"leftOperand", "urn:tally:profile:1#keyName"},
          {"operator", "eq"},
          {"rightOperand", name}}}
    );
  };
  const auto terms =
      policy({permission("pull", "archive", {named("x")}), permission("read", "read", {named("y")})}
      );
  const RuleShapes sent(*terms, &schema, &keys);
  const RuleShapes left(*terms, &schema, &keys, sent.of(RuleId("urn:test:pull"))->duties);
  EXPECT_TRUE(left.of(RuleId("urn:test:read"))->shape);
}

// The engine takes into an offer what a shape carries out.
TEST_F(RuleShapesTest, EveryDutyOfAShapeIsEnforced) {
  for (const auto& duty : shape_duties()) {
    EXPECT_NE(std::ranges::find(odrl::enforced_duties(), duty), odrl::enforced_duties().end())
        << duty;
  }
}

}  // namespace
}  // namespace tally::dataplane
