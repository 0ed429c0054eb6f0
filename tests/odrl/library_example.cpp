// The policy engine by itself, in a program that has nothing else of Tally: load a policy, ask for
// a decision, print why. docs/odrl-engine.md, "As a library", shows this file; it is run as a
// test.
#include <iostream>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/odrl/evaluate.hpp"
#include "tally/odrl/explain.hpp"

using namespace tally;

int main() {
  const auto document = parse_json(R"({
    "@context": "http://www.w3.org/ns/odrl.jsonld",
    "@type": "Agreement", "@id": "urn:example:agreement",
    "assigner": "urn:example:hospital", "assignee": "urn:example:institute",
    "target": "urn:example:cohort",
    "permission": [{"@id": "urn:example:rule", "action": "read", "constraint": [
      {"leftOperand": "count", "operator": "lteq", "rightOperand": 3}]}]
  })");
  if (!document) return 1;
  const auto policy = odrl::load_policy(*document);
  if (!policy) {
    for (const auto& problem : policy.error()) {
      std::cout << problem.pointer << ": " << render(problem.message, Lang::en) << "\n";
    }
    return 1;
  }

  odrl::Request request;
  request.assignee = "urn:example:institute";
  request.action = odrl::iri::read;
  request.target = "urn:example:cohort";

  bool as_expected = true;
  for (const int used : {2, 3}) {
    const std::vector<odrl::UsageEntry> usage{{RuleId("urn:example:rule"), {used, {}, {}}}};
    odrl::World world;
    world.now = parse_date_time("2026-03-10T09:00:00Z")->instant;
    world.usage = usage;
    odrl::EvaluateOptions options;
    options.explain = odrl::Explain::decisive;
    const auto decision = odrl::evaluate(**policy, request, world, options);
    for (const auto& message : odrl::explain(decision)) {
      std::cout << render(message, Lang::en) << "\n";
    }
    as_expected = as_expected && decision.permit == (used < 3);
  }
  return as_expected ? 0 : 1;
}
