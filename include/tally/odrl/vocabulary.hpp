// Everything the engine knows, as one machine-readable list: left operands with type, operators and
// who vouches for their value; actions with their tree and what a duty of them is; operators,
// reasons. `GET /api/v1/policy-terms` and `tally policy terms` serve it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "tally/core/json.hpp"

namespace tally::odrl {

Json policy_terms();

// What a bare word or a prefix (without its colon) means in every policy, whatever its context
// says: a word of ODRL, a prefix that is always known, a scheme of IRIs. nullopt: nothing.
std::optional<std::string> meaning_of_word(std::string_view word);

}  // namespace tally::odrl
