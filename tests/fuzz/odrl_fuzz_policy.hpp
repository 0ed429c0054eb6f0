// The policy that requests and worlds from strangers are tried on.
#pragma once

#include <nlohmann/json.hpp>

#include "tally/odrl/policy.hpp"

inline const tally::odrl::CompiledPolicy& policy_under_test() {
  using namespace tally;
  static const auto policy = odrl::read_policy(Json::parse(R"({
    "@type": "Set", "uid": "urn:p", "permission": [{
      "@id": "urn:r", "action": "use",
      "duty": [{"action": "compensate"}],
      "constraint": [
        {"leftOperand": "purpose", "operator": "isA", "rightOperand": "urn:x"},
        {"leftOperand": "count", "operator": "lteq", "rightOperand": 3},
        {"leftOperand": "event", "operator": "eq", "rightOperand": "urn:e"},
        {"leftOperand": "urn:tally:profile:1#frequency", "operator": "lteq", "rightOperand": "3/P1D"},
        {"leftOperand": "meteredTime", "operator": "lteq", "rightOperand": "PT1H"}]}]})"));
  return *policy.policy;
}
