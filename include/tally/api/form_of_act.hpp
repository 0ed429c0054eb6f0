// In which form an act hands data out: that of the permission which carries it (docs/shapes.md).
// Any thread.
#pragma once

#include "tally/core/notices.hpp"
#include "tally/dataplane/rule_shapes.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::api {

// Of the permission that would carry `act` now. Null: none would, and authorise says why. Where
// that form cannot be made, `act.cannot` is set, so that authorise refuses, and the operator is
// told why.
const dataplane::RuleShapes::Form* form_of_act(
    const usage::Enforcer& enforcer,
    const dataplane::RuleShapes& shapes,
    usage::Act& act,
    Notices* notices = nullptr
);

// Whether the permit is for data in this form: between the two another permission may have come to
// carry the act.
bool is_of_form(
    const usage::Grant& grant,
    const dataplane::RuleShapes& shapes,
    const dataplane::RuleShapes::Form* form
);

}  // namespace tally::api
