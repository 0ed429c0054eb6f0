#include "tally/odrl/templates.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include <gtest/gtest.h>

#include "tally/odrl/explain.hpp"

#include "policies.hpp"

namespace tally::odrl {
namespace {

namespace fs = std::filesystem;

TemplateValues examples(const PolicyTemplate& from) {
  TemplateValues out;
  for (const auto& one : from.parameters) out[one.name] = one.example;
  return out;
}

Json filled(const PolicyTemplate& from) {
  auto policy = fill(from, examples(from));
  EXPECT_TRUE(policy) << from.name;
  if (!policy) return Json::object();
  (*policy)["@id"] = "urn:test:" + from.name;
  return *policy;
}

std::size_t placeholders(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count(text, '{'));
}

TEST(Templates, OneForEachUsageClass) {
  std::set<int> classes;
  for (const auto& one : policy_templates()) {
    if (one.usage_class > 0) EXPECT_TRUE(classes.insert(one.usage_class).second) << one.name;
  }
  EXPECT_EQ(classes.size(), 25U);
  EXPECT_EQ(*classes.rbegin(), 25);
}

TEST(Templates, EachIsWholeInBothLanguages) {
  for (const auto& one : policy_templates()) {
    EXPECT_EQ(placeholders(one.english), placeholders(one.chinese)) << one.name;
    for (const auto lang : {Lang::en, Lang::zh}) {
      const auto text = sentence(one, examples(one), lang);
      EXPECT_EQ(text.find('{'), std::string::npos) << text;
    }
    for (const auto& parameter : one.parameters) {
      const auto place = "{" + parameter.name + "}";
      EXPECT_NE(one.policy.find(place), std::string::npos) << one.name << " " << place;
    }
    EXPECT_EQ(filled(one).dump().find('{' + std::string("\"")), 0U) << one.name;
  }
}

TEST(Templates, EachIsUnderstoodWhole) {
  for (const auto& one : policy_templates()) {
    const auto reading = read_policy(filled(one));
    ASSERT_TRUE(reading.policy) << one.name << " " << reading.problems.front().message.code;
    EXPECT_TRUE(reading.doubts.empty()) << one.name;
    for (const auto lang : {Lang::en, Lang::zh}) {
      for (const auto& line : read_out(*reading.policy, lang)) {
        EXPECT_EQ(line.find("odrl."), std::string::npos) << line;  // a code without a sentence
        EXPECT_EQ(line.find('{'), std::string::npos) << line;
      }
    }
  }
}

// Without the ids that each case gives its rules.
Json rules_of(const Json& policy) {
  Json out = Json::object();
  for (const char* kind : {"permission", "prohibition", "obligation"}) {
    if (!policy.contains(kind)) continue;
    out[kind] = policy[kind];
    for (auto& rule : out[kind]) rule.erase("@id");
  }
  return out;
}

// tests/data/odrl/templates/ holds what the walker of cases runs; here that none is missing and
// that each is about what the template says.
TEST(Templates, EachHasACaseThatPermitsAndOneThatDenies) {
  const auto folder = fs::path(TALLY_SOURCE_DIR) / "tests/data/odrl/templates";
  for (const auto& one : policy_templates()) {
    EXPECT_TRUE(fs::exists(folder / (one.name + "-deny.json"))) << one.name;
    if (one.name == "plain-prohibit") continue;  // there is nothing that it permits
    EXPECT_TRUE(fs::exists(folder / (one.name + "-permit.json"))) << one.name;
    for (const char* kind : {"-permit.json", "-deny.json"}) {
      std::ifstream file(folder / (one.name + kind));
      EXPECT_EQ(rules_of(Json::parse(file)["policy"]), rules_of(filled(one))) << one.name << kind;
    }
  }
}

TEST(Templates, AMissingAWrongAndAnUnknownParameterAreNamed) {
  const auto* uses = find_template("number-of-uses");
  ASSERT_TRUE(uses);
  EXPECT_EQ(fill(*uses, {}).error().message.code, "odrl.template-missing-parameter");
  EXPECT_EQ(fill(*uses, {{"uses", "many"}}).error().message.code, "odrl.template-wrong-parameter");
  EXPECT_EQ(
      fill(*uses, {{"uses", "3"}, {"us", "3"}}).error().message.code,
      "odrl.template-unknown-parameter"
  );
  EXPECT_FALSE(find_template("number-of-use"));
}

TEST(Templates, TypesAreChecked) {
  struct Row {
    const char* name;
    const char* parameter;
    const char* good;
    const char* bad;
  };
  for (const auto& row : std::vector<Row>{
           {"number-of-uses", "uses", "3", "3.5"},
           {"duration", "time", "P1M", "a month"},
           {"place", "place", "urn:x:eu", "Europe"},
           {"purpose", "purposes", "urn:x:a,urn:x:b", "urn:x:a,,"},
           {"role", "roles", "auditor", ""},
       }) {
    const auto* from = find_template(row.name);
    ASSERT_TRUE(from) << row.name;
    EXPECT_TRUE(fill(*from, {{row.parameter, row.good}})) << row.name;
    EXPECT_FALSE(fill(*from, {{row.parameter, row.bad}})) << row.name;
  }
}

TEST(Templates, AListBecomesAnArray) {
  const auto policy = fill(*find_template("purpose"), {{"purposes", "urn:x:a,urn:x:b"}});
  ASSERT_TRUE(policy);
  EXPECT_EQ(
      policy->at("/permission/0/constraint/0/rightOperand"_json_pointer),
      Json::array({"urn:x:a", "urn:x:b"})
  );
}

}  // namespace
}  // namespace tally::odrl
