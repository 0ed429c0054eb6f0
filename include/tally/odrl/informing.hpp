// The duty `inform`, as who carries it out has to know it: whom to tell of a use, and how soon.
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/ids.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::odrl {

struct Informing {
  RuleId duty;
  RuleId permission;                  // whose uses are told; empty: those of every permission
  std::string party;                  // IRI; empty: the provider
  std::optional<XsdDuration> within;  // after the end of the use; nullopt: without a term

  [[nodiscard]] bool is_of(const RuleId& rule) const {
    return permission.empty() || permission == rule;
  }
};

// ODRL's `inform`, and the IDS code that means the same.
bool is_informing(std::string_view action);

// Each duty of this kind that the policy has, in its permissions or of the policy.
std::vector<Informing> informing_of(const CompiledPolicy& policy);

}  // namespace tally::odrl
