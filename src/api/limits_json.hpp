// What is left under an agreement, as answers show it.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "tally/core/json.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::api {

// A list of {"rule", "owner", "limit"}, and with `used` and `left` where this side counts; of a
// rate `window` too.
Json limits_json(const usage::AgreementState& state);

}  // namespace tally::api
