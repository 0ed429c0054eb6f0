// A change of a policy by somebody who errs must never permit more. Each mutation takes something
// that the engine has to understand and spoils it; the mutant is either refused or permits, over a
// grid of requests and worlds, no more than the original did.
#include <functional>

#include <gtest/gtest.h>

#include "policies.hpp"

namespace tally::odrl {
namespace {

using test::agreement;
using test::atom;

Json original() {
  auto out = agreement(Json::array(
      {atom("purpose", "isAnyOf", Json::array({test::research, "urn:test:purpose:teaching"})),
       atom("count", "lteq", Json{{"@value", "3"}, {"@type", "xsd:integer"}}),
       Json{
           {"and",
            Json::array(
                {atom("dateTime", "lt", Json{{"@value", "2026-06-01"}, {"@type", "xsd:date"}}),
                 Json{
                     {"or",
                      Json::array({atom("elapsedTime", "lteq", "P30D"), atom("count", "lteq", 1)}
                      )}}}
            )}}}
  ));
  out["profile"] = "urn:tally:profile:1";
  out["conflict"] = "prohibit";
  out["prohibition"] = Json::array({Json{
      {"@id", "urn:test:no"}, {"action", "distribute"}, {"constraint", Json::array()}}});
  out["obligation"] = Json::array({Json{
      {"@id", "urn:test:delete"},
      {"action", "delete"},
      {"constraint", Json::array({atom("dateTime", "lteq", "2026-06-02T00:00:00Z")})}}});
  return out;
}

struct Probe {
  Request request;
  World world;
  std::vector<UsageEntry> usage;
};

std::vector<Probe> probes() {
  std::vector<Probe> out;
  for (const auto action :
       {iri::read, iri::export_, iri::distribute, iri::transfer, iri::archive}) {
    for (const auto* purpose : {test::research, "urn:test:purpose:marketing", ""}) {
      for (const std::int64_t count : {0, 2, 3, 9}) {
        for (const auto* now :
             {"2026-03-10T09:00:00Z", "2026-05-20T09:00:00Z", "2027-01-01T00:00:00Z"}) {
          for (const auto* party : {test::party, "urn:test:broker"}) {
            Probe probe;
            probe.request = {party, std::string(action), test::asset, {}};
            if (*purpose != '\0') probe.request.purposes = {purpose};
            probe.world = test::world(now);
            RuleUsage usage;
            usage.count = count;
            if (count > 0) usage.first_use = test::at("2026-03-01T00:00:00Z");
            probe.usage = {{RuleId("urn:test:rule"), usage}};
            out.push_back(std::move(probe));
          }
        }
      }
    }
  }
  return out;
}

class Mutants : public ::testing::Test {
 protected:
  Mutants() : probes_(probes()), base_(test::load(original())) {
    for (auto& probe : probes_) {
      probe.world.usage = probe.usage;
      permitted_.push_back(evaluate(*base_, probe.request, probe.world).permit);
    }
  }

  void check(const Json& mutant, const std::string& name) {
    ++mutants_;
    const auto loaded = load_policy(mutant);
    if (!loaded) {
      EXPECT_FALSE(loaded.error().empty()) << name;
      return;
    }
    ++loaded_;
    for (std::size_t i = 0; i < probes_.size(); ++i) {
      if (permitted_[i]) continue;
      const auto decision = evaluate(**loaded, probes_[i].request, probes_[i].world);
      EXPECT_FALSE(decision.permit) << name << "\n" << mutant.dump();
      if (decision.permit) return;
    }
  }

  // Calls `visit` with each value below `at` of `document` and its pointer.
  static void each(
      Json& value,
      const std::string& at,
      const std::function<void(Json&, const std::string&)>& visit
  ) {
    visit(value, at);
    if (value.is_object()) {
      for (auto& [key, inner] : value.items()) each(inner, child(at, key), visit);
    } else if (value.is_array()) {
      for (std::size_t i = 0; i < value.size(); ++i) each(value[i], child(at, i), visit);
    }
  }

  std::vector<Probe> probes_;
  PolicyPtr base_;
  std::vector<bool> permitted_;
  std::size_t mutants_ = 0;
  std::size_t loaded_ = 0;
};

std::vector<std::string> pointers(Json document) {
  std::vector<std::string> out;
  const std::function<void(const Json&, const std::string&)> walk = [&](const Json& value,
                                                                        const std::string& at) {
    if (!at.empty()) out.push_back(at);
    if (value.is_object()) {
      for (const auto& [key, inner] : value.items()) walk(inner, child(at, key));
    } else if (value.is_array()) {
      for (std::size_t i = 0; i < value.size(); ++i) walk(value[i], child(at, i));
    }
  };
  walk(document, "");
  return out;
}

TEST_F(Mutants, TheOriginalPermitsSomeAndDeniesSome) {
  EXPECT_GT(std::ranges::count(permitted_, true), 0);
  EXPECT_GT(std::ranges::count(permitted_, false), 0);
}

// A rule's id is the name of its count, so that another name is another count, and dropping it is
// in no policy by mistake. Dropping a whole constraint, prohibition or party of a rule is not in
// here: nobody can see from the rest that it was there. Every other member must be missed.
TEST_F(Mutants, ADroppedMemberOfAConstraintNeverPermitsMore) {
  const auto document = original();
  for (const auto& at : pointers(document)) {
    const Json::json_pointer pointer(at);
    const auto& name = pointer.back();
    const bool in_constraint =
        name == "leftOperand" || name == "operator" || name == "rightOperand" || name == "@value" ||
        name == "@type" || name == "action" || at == "/@id" || name == "assignee" ||
        name == "assigner" || name == "conflict" || name == "profile" || name == "and";
    if (!in_constraint) continue;
    auto mutant = document;
    mutant.at(pointer.parent_pointer()).erase(name);
    check(mutant, "drop " + at);
  }
  EXPECT_GT(mutants_, 25U);
}

TEST_F(Mutants, AMisspeltMemberNeverPermitsMore) {
  const auto document = original();
  for (const auto& at : pointers(document)) {
    const Json::json_pointer pointer(at);
    auto& parent = document.at(pointer.parent_pointer());
    if (!parent.is_object()) continue;
    const auto& name = pointer.back();
    for (const auto& wrong :
         {name + "s", name.substr(0, name.size() - 1), "x:" + name, "ODRL:" + name, " " + name}) {
      auto mutant = document;
      auto& object = mutant.at(pointer.parent_pointer());
      object[wrong] = object[name];
      object.erase(name);
      check(mutant, "rename " + at + " to " + wrong);
    }
  }
  EXPECT_EQ(loaded_, 0U);  // every one of them is refused
}

TEST_F(Mutants, AMisspeltWordNeverPermitsMore) {
  const auto document = original();
  std::size_t words = 0;
  for (const auto& at : pointers(document)) {
    const Json::json_pointer pointer(at);
    if (!document.at(pointer).is_string()) continue;
    const auto& name = pointer.back();
    const auto word = document.at(pointer).get<std::string>();
    // Ids of the policy and of rules may be anything; a different assigner changes nobody's right.
    if (name == "@id" || name == "assigner") continue;
    ++words;
    for (const auto& wrong :
         {word + "x", word.substr(1), std::string(), "x:" + word, "odrl:" + word + "_"}) {
      auto mutant = document;
      mutant.at(pointer) = wrong;
      check(mutant, at + " becomes " + wrong);
    }
  }
  EXPECT_GT(words, 20U);
}

TEST_F(Mutants, AValueOfAnotherTypeNeverPermitsMore) {
  const auto document = original();
  for (const auto& at : pointers(document)) {
    for (const auto& wrong : std::vector<Json>{
             nullptr,
             true,
             false,
             -1,
             1.5,
             "",
             Json::object(),
             Json{{"@id", "urn:x"}},
             Json{{"@value", nullptr}},
             Json::array({nullptr}),
             Json::array({Json::array()}),
         }) {
      auto mutant = document;
      const Json::json_pointer pointer(at);
      if (pointer.back() == "@id" || pointer.back() == "target" || pointer.back() == "assigner") {
        if (wrong.is_object() || wrong.is_array()) continue;  // another id, well written
      }
      mutant.at(pointer) = wrong;
      check(mutant, at + " becomes " + wrong.dump());
    }
  }
  EXPECT_GT(mutants_, 400U);
}

TEST_F(Mutants, EveryKnownWordInThePlaceOfAnother) {
  const auto document = original();
  // What swaps a word for another valid one changes the meaning, and may well permit more. What it
  // may not do is make the engine guess: an operator that does not fit its operand is refused.
  const Json::json_pointer at("/permission/0/constraint/0/operator");
  for (const auto* wrong : {"lt", "lteq", "gt", "gteq"}) {
    auto mutant = document;
    mutant.at(at) = wrong;
    EXPECT_FALSE(load_policy(mutant)) << wrong;
  }
  for (const auto operand : reserved_operands()) {
    for (const auto* place :
         {"/permission/0/constraint/0/leftOperand",
          "/permission/0/constraint/1/leftOperand",
          "/permission/0/constraint/2/and/0/leftOperand"}) {
      auto mutant = document;
      mutant.at(Json::json_pointer(place)) = std::string(operand);
      EXPECT_FALSE(load_policy(mutant)) << operand;
    }
  }
}

}  // namespace
}  // namespace tally::odrl
