// From the policy that an operator wrote to the offer that other connectors read.
#pragma once

#include <string_view>

#include "tally/core/json.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::catalog {

// Terms as full IRIs, `@id` for `uid`, no `@context` and no target (the dataset is it), and beside
// each count that does not say so who counts it: `owner`. Precondition: the policy loads.
Json publish(Json policy, odrl::Side owner);

}  // namespace tally::catalog
