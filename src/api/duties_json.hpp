// Duties that are confirmed, as operators and applications see them. Pure.
#pragma once

#include <vector>

#include "tally/core/json.hpp"
#include "tally/usage/duties.hpp"

namespace tally::api {

// [{duty, rule, pointer, action, state, since?, until?, asked?, rejected?, parties?, parameters?}]
Json duties_json(const std::vector<usage::DutyState>& duties);

}  // namespace tally::api
