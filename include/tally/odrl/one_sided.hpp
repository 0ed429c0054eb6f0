// What the provider of data can see to by itself, whatever the other side does. Pure.
#pragma once

#include <string>
#include <vector>

#include "tally/odrl/policy.hpp"

namespace tally::odrl {

// The places (JSON pointers, in the order of the document) of what only the consumer could enforce:
// every prohibition, duty and obligation, and every constraint that is not about how often or when
// data is handed out. `sees_each_use`: each use is a call to the provider; else the data is handed
// out as a whole, and no constraint on its use can be seen to afterwards. Empty: the provider alone
// enforces the policy. Precondition: loaded with sole_owner provider.
std::vector<std::string> left_to_consumer(const CompiledPolicy& policy, bool sees_each_use);

}  // namespace tally::odrl
