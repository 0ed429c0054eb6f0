// A change of a policy by somebody who errs must never permit more. Cases that permit are taken,
// something in their policy that the engine has to understand is spoilt, and the mutant is asked a
// grid of requests in a grid of worlds: it is refused or permits no more than the original did.
// TALLY_MUTATIONS sets how many; `./dev test --long` makes a million.
//
// That the property can fail is shown with faults planted into the engine.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>

#include <gtest/gtest.h>

#include "tally/odrl/exchange.hpp"

#include "odrl/plan.hpp"
#include "policies.hpp"

namespace tally::odrl {
namespace {

namespace fs = std::filesystem;

// What is wrong with the engine under test.
enum class Planted { nothing, unknown_operand_skipped, unknown_is_true, duty_dropped, lteq_as_lt };

struct Probe {
  Json request;
  Json world;
  bool permit = false;  // what the sound engine says of the original
};

struct Original {
  std::string name;
  Json policy;
  std::vector<std::string> profiles, operands;
  std::vector<std::string> places;  // pointers of what can be spoilt
  std::vector<std::string> words;   // those of them that are words of the vocabulary
  std::vector<Probe> probes;        // the first is the case's own, which permits
};

Json read_file(const fs::path& file) {
  std::ifstream stream(file);
  return Json::parse(stream);
}

void collect_places(const Json& value, const std::string& at, std::vector<std::string>& out) {
  if (!value.is_structured()) return;
  for (const auto& [key, inner] : value.items()) {
    const auto place = at + "/" + [&] {
      std::string escaped;
      for (const char c : key) escaped += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
      return escaped;
    }();
    static const std::vector<std::string> told{
        "leftOperand",
        "operator",
        "rightOperand",
        "@value",
        "@type",
        "@id",
        "unit",
        "action",
        "profile",
        "conflict",
        "dataType",
        "rdf:value"};
    const bool word = value.is_object() && std::ranges::find(told, key) != told.end();
    const bool is_name = key == "@id" && at.find("rightOperand") == std::string::npos &&
                         at.find("rdf:value") == std::string::npos;
    if (word && !is_name && key != "@context") out.push_back(place);
    if (key != "@context") collect_places(inner, place, out);
  }
}

// Requests and worlds near the case's own, of which some are denied.
std::vector<Probe> probes_near(const Json& request, const Json& world) {
  std::vector<Probe> out{{request, world, false}};
  const auto ask = [&](const char* member, Json value) {
    auto changed = request;
    changed[member] = std::move(value);
    out.push_back({std::move(changed), world, false});
  };
  const auto within = [&](const char* member, Json value) {
    auto changed = world;
    changed[member] = std::move(value);
    out.push_back({request, std::move(changed), false});
  };
  for (const auto action :
       {iri::use, iri::read, iri::archive, iri::distribute, iri::transfer, iri::export_}) {
    ask("action", std::string(action));
  }
  ask("assignee", "urn:test:nobody");
  ask("target", "urn:test:nothing");
  ask("context", Json::object());
  Json other = Json::object();
  const auto context = request.value("context", Json::object());
  for (const auto& [key, value] : context.items()) {
    other[key] = "urn:test:other";
  }
  ask("context", other);
  for (const auto* now : {"1999-01-01T00:00:00Z", "2026-03-31T00:00:00Z", "2099-01-01T00:00:00Z"}) {
    within("currentTime", now);
  }
  within("clock", "unreliable");
  within("usage", nullptr);
  Json used = Json::array();
  const auto usage = world.value("usage", Json::array());
  for (const auto& one : usage) {
    auto more = one;
    more["count"] = 1000;
    used.push_back(std::move(more));
  }
  within("usage", used);
  within("performedActions", Json::array());
  within("operandValues", Json::object());
  within("attributes", Json::object());
  return out;
}

bool permits(
    const CompiledPolicy& policy, const Request& request, const World& world, Planted planted
) {
  const auto decision = evaluate(policy, request, world);
  if (planted == Planted::unknown_is_true && decision.reason == Reason::undecidable) return true;
  return decision.permit;
}

// The policy with a fault of the engine in it.
PolicyPtr with_fault(const PolicyPtr& policy, Planted planted) {
  if (planted == Planted::nothing || planted == Planted::unknown_is_true) return policy;
  auto plan = std::make_unique<Plan>(policy->plan());
  for (std::size_t i = 0; i < plan->extra_terms.size(); ++i) {
    plan->extra_terms[i].iri = plan->extra_term_iris[i];
  }
  if (planted == Planted::duty_dropped) {
    for (auto& rule : plan->rules) rule.duties.clear();
  }
  for (auto& node : plan->nodes) {
    if (planted == Planted::lteq_as_lt && node.op == Operator::lteq) node.op = Operator::lt;
    // What a constraint says about a word that nobody knows: nothing.
    if (planted == Planted::unknown_operand_skipped && node.fault == Fault::unknown_operand) {
      node = Node{};
      node.kind = NodeKind::all;
    }
  }
  return std::make_shared<const CompiledPolicy>(std::unique_ptr<const Plan>(std::move(plan)));
}

std::vector<Original> originals() {
  std::vector<Original> out;
  std::vector<fs::path> folders{fs::path(TALLY_SOURCE_DIR) / "tests/data/odrl"};
  const char* set = std::getenv("TALLY_SHARED");
  const auto shared =
      (set ? fs::path(set) : fs::path(TALLY_SOURCE_DIR) / ".." / "shared") / "odrl-cases";
  if (fs::exists(shared)) folders.push_back(shared);
  for (const auto& folder : folders) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.path().extension() != ".json") continue;
      const auto document = read_file(entry.path());
      const auto options = document.value("options", Json::object());
      const bool plain =
          document.contains("policy") && !document.value("request", Json()).is_null() &&
          document["expected"].value("decision", "") == "permit" &&
          options.value("behaviour", "closed") == "closed" &&
          options.value("conditionSemantics", "must-be-fulfilled") == "must-be-fulfilled";
      if (!plain) continue;
      Original one;
      one.name = entry.path().stem().string();
      one.policy = document["policy"];
      one.profiles = options.value("profiles", one.profiles);
      one.operands = options.value("operands", one.operands);
      one.probes = probes_near(document["request"], document["stateOfTheWorld"]);
      collect_places(one.policy, "", one.places);
      std::ranges::copy_if(one.places, std::back_inserter(one.words), [](const std::string& at) {
        return at.ends_with("/leftOperand") || at.ends_with("/operator") || at.ends_with("/action");
      });
      if (!one.places.empty()) out.push_back(std::move(one));
    }
  }
  std::ranges::sort(out, {}, &Original::name);
  return out;
}

LoadOptions options_of(const Original& original) {
  LoadOptions out;
  out.extra_profiles = original.profiles;
  out.extra_operands = original.operands;
  return out;
}

// One word misspelt, one value of another type, one unit swapped, one member lost or misnamed.
// Words are what people get wrong most, and what an engine is most tempted to skip.
Json mutate(const Original& original, std::mt19937_64& random) {
  auto mutant = original.policy;
  const auto pick = [&](std::size_t size) { return static_cast<std::size_t>(random() % size); };
  const bool of_words = pick(10) < 7 && !original.words.empty();
  const auto& places = of_words ? original.words : original.places;
  const Json::json_pointer pointer(places[pick(places.size())]);
  const auto name = pointer.back();
  auto& parent = mutant.at(pointer.parent_pointer());
  auto& value = mutant.at(pointer);
  const auto kind = of_words ? 0 : pick(5);
  if (kind == 0 && value.is_string()) {
    const auto word = value.get<std::string>();
    const std::vector<std::string> wrong{
        word + "x", "x" + word, "urn:test:" + word, "odrl:x" + word};
    value = wrong[pick(wrong.size())];
  } else if (kind == 1 && name == "rightOperand") {
    const std::vector<Json> wrong{
        nullptr,
        true,
        Json::object(),
        Json::array(),
        "",
        Json{{"@value", "x"}, {"@type", "xsd:date"}},
        Json{{"@id", "urn:test:different"}},
        Json{{"@value", "1"}, {"@type", "urn:test:type"}}};
    value = wrong[pick(wrong.size())];
  } else if (kind == 2) {
    parent["unit"] = "urn:test:unit";
  } else if (kind == 3) {
    parent.erase(name);
  } else {
    parent[name + "s"] = value;
    parent.erase(name);
  }
  return mutant;
}

struct Tally {
  std::size_t mutants = 0;
  std::size_t parsed = 0;
  std::size_t wider = 0;     // mutants that permit what the original denies
  std::size_t narrower = 0;  // originals that do not permit their own case
  std::string example;
};

// Readings of requests and worlds are made once.
struct Prepared {
  Request request;
  std::unique_ptr<WorldDocument> world;
  bool permit = false;
};

Tally run(std::size_t mutations, Planted planted) {
  Tally tally;
  std::mt19937_64 random(20261123);
  auto list = originals();
  std::vector<std::vector<Prepared>> prepared;
  for (const auto& original : list) {
    const auto sound = read_policy(original.policy, options_of(original)).policy;
    auto& probes = prepared.emplace_back();
    for (const auto& probe : original.probes) {
      auto request = read_request(probe.request);
      auto world = read_world(probe.world);
      if (!request || !world || !sound) continue;
      Prepared one{std::move(*request), std::move(*world), false};
      one.permit = permits(*sound, one.request, one.world->world, Planted::nothing);
      probes.push_back(std::move(one));
    }
    if (!sound || probes.empty()) {
      ADD_FAILURE() << original.name;
      continue;
    }
    const auto faulty = with_fault(sound, planted);
    if (!permits(*faulty, probes[0].request, probes[0].world->world, planted)) ++tally.narrower;
    for (const auto& probe : probes) {
      if (!probe.permit && permits(*faulty, probe.request, probe.world->world, planted))
        ++tally.wider;
    }
  }
  while (tally.mutants < mutations) {
    const auto chosen = static_cast<std::size_t>(random() % list.size());
    const auto& original = list[chosen];
    const auto mutant = mutate(original, random);
    if (mutant == original.policy) continue;
    ++tally.mutants;
    const auto reading = read_policy(mutant, options_of(original));
    if (!reading.policy) continue;
    ++tally.parsed;
    const auto policy = with_fault(reading.policy, planted);
    for (const auto& probe : prepared[chosen]) {
      if (probe.permit || !permits(*policy, probe.request, probe.world->world, planted)) continue;
      ++tally.wider;
      tally.example = original.name + ": " + Json::diff(original.policy, mutant).dump() +
                      " asked " + probe.request.action + " by " + probe.request.assignee;
      break;
    }
  }
  return tally;
}

std::size_t mutations() {
  const char* set = std::getenv("TALLY_MUTATIONS");
  return set ? static_cast<std::size_t>(std::strtoull(set, nullptr, 10)) : 10'000;
}

TEST(Mutations, NeverPermitMore) {
  const auto tally = run(mutations(), Planted::nothing);
  EXPECT_EQ(tally.wider, 0U) << tally.example;
  EXPECT_EQ(tally.narrower, 0U);
  EXPECT_GE(tally.parsed * 2, tally.mutants) << "most mutants have to reach the evaluator";
  std::cout << tally.mutants << " mutants, " << tally.parsed << " still parsed\n";
}

// Each fault is found: the property is no tautology.
TEST(Mutations, FindPlantedFaults) {
  const auto skipped = run(1'500, Planted::unknown_operand_skipped);
  EXPECT_GT(skipped.wider, 0U);
  const auto unknown = run(1'500, Planted::unknown_is_true);
  EXPECT_GT(unknown.wider, 0U);
  const auto duty = run(1'500, Planted::duty_dropped);
  EXPECT_GT(duty.wider, 0U);
  const auto less = run(1'500, Planted::lteq_as_lt);
  EXPECT_GT(less.narrower + less.wider, 0U);
}

}  // namespace
}  // namespace tally::odrl
