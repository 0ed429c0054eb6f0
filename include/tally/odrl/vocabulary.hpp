// Everything the engine knows, as one machine-readable list: left operands with type, operators and
// who vouches for their value; actions with their tree and what a duty of them is; operators,
// reasons. `GET /api/v1/policy-terms` and `tally policy terms` serve it. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "tally/core/json.hpp"

namespace tally::odrl {

Json policy_terms();

}  // namespace tally::odrl
