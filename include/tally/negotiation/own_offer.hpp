// A policy that this side proposes, in the form in which it goes into a message. Pure.
#pragma once

#include <string_view>

#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/result.hpp"
#include "tally/dsp/policy_form.hpp"

namespace tally::negotiation {

// `policy` as the Offer `id` on `target`: terms as full IRIs, lists where lists are meant, without
// a context. What it says beyond that stays as it is. Errors: invalid: no object, or a form that
// the protocol has not; with the pointer below `at`.
Result<Json> offer_message(
    Json policy,
    const OfferId& id,
    const AssetId& target,
    std::string_view at = "/policy",
    dsp::EmptyPolicy empty = dsp::EmptyPolicy::refused
);

// The same, and refused also when this connector could not enforce it.
Result<Json> own_offer(
    Json policy,
    const OfferId& id,
    const AssetId& target,
    const Limits& limits = {},
    std::string_view at = "/policy"
);

// The policy that permits every use, without a condition.
Json policy_of_use();

}  // namespace tally::negotiation
