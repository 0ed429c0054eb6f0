#include <algorithm>

#include <nlohmann/json.hpp>

#include "tally/dsp/policy_form.hpp"
#include "tally/negotiation/negotiation_service.hpp"
#include "tally/odrl/terms.hpp"

namespace tally::negotiation {

namespace {

bool is_purpose(const Json& constraint) {
  if (!constraint.is_object()) return false;
  const auto operand = constraint.find("leftOperand");
  if (operand == constraint.end() || !operand->is_string()) return false;
  const auto& word = operand->get_ref<const std::string&>();
  return word == odrl::iri::purpose || word == "purpose" || word == "odrl:purpose";
}

Json purpose_constraint(const std::vector<std::string>& purposes) {
  Json constraint = {{"leftOperand", odrl::iri::purpose}};
  if (purposes.size() == 1) {
    constraint["operator"] = "eq";
    constraint["rightOperand"] = purposes.front();
  } else {
    constraint["operator"] = "isAnyOf";
    constraint["rightOperand"] = purposes;
  }
  return constraint;
}

void collect(const Json& value, std::vector<std::string>& into) {
  const auto add = [&](const std::string& iri) {
    if (std::find(into.begin(), into.end(), iri) == into.end()) into.push_back(iri);
  };
  if (value.is_string()) {
    add(value.get<std::string>());
  } else if (value.is_array()) {
    for (const auto& one : value) collect(one, into);
  } else if (value.is_object()) {
    for (const char* key : {"@id", "@value"}) {
      if (const auto found = value.find(key); found != value.end() && found->is_string()) {
        add(found->get<std::string>());
      }
    }
  }
}

void collect_from(const Json& constraints, std::vector<std::string>& into) {
  if (!constraints.is_array()) return;
  for (const auto& constraint : constraints) {
    if (!constraint.is_object()) continue;
    for (const char* logical : {"and", "or"}) {
      if (const auto inner = constraint.find(logical); inner != constraint.end()) {
        collect_from(*inner, into);
      }
    }
    if (!is_purpose(constraint)) continue;
    const auto op = constraint.find("operator");
    if (op == constraint.end() || (*op != "eq" && *op != "isAnyOf")) continue;
    if (const auto right = constraint.find("rightOperand"); right != constraint.end()) {
      collect(*right, into);
    }
  }
}

}  // namespace

Json with_purposes(Json policy, const std::vector<std::string>& purposes) {
  policy = dsp::with_arrays(std::move(policy));
  if (purposes.empty() || !policy.is_object()) return policy;
  const auto permissions = policy.find("permission");
  if (permissions == policy.end() || !permissions->is_array()) return policy;
  for (auto& permission : *permissions) {
    if (!permission.is_object()) continue;
    Json constraints = Json::array();
    if (const auto had = permission.find("constraint"); had != permission.end()) {
      for (const auto& constraint : *had) {
        if (!is_purpose(constraint)) constraints.push_back(constraint);
      }
    }
    constraints.push_back(purpose_constraint(purposes));
    permission["constraint"] = std::move(constraints);
  }
  return policy;
}

std::vector<std::string> purposes_of(const Json& policy) {
  std::vector<std::string> purposes;
  const Json arrays = dsp::with_arrays(policy);
  if (!arrays.is_object()) return purposes;
  const auto permissions = arrays.find("permission");
  if (permissions == arrays.end() || !permissions->is_array()) return purposes;
  for (const auto& permission : *permissions) {
    if (!permission.is_object()) continue;
    if (const auto constraints = permission.find("constraint"); constraints != permission.end()) {
      collect_from(*constraints, purposes);
    }
  }
  return purposes;
}

}  // namespace tally::negotiation
