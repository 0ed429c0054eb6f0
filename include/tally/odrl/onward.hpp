// The duty `nextPolicy`: on which policy data that are passed on have to be offered. Pure; any
// thread.
#pragma once

#include <vector>

#include "tally/core/limits.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::odrl {

// What the duties of the policy's permissions to pass on attach (`onwardPolicy`), each loaded as an
// offer would be. Empty: none does, and the policy itself is what goes on. Null: one that this
// connector cannot enforce any more, under which nothing may be offered.
std::vector<PolicyPtr> onward_policies(const CompiledPolicy& policy, const Limits& limits);

}  // namespace tally::odrl
