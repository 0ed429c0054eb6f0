// Masks that a policy wants done to the stored copy, once it was used: `event gt policyUsage`
// (docs/shapes.md, "At rest"). Who holds the data rewrites it in that form. Pure.
#pragma once

#include <span>
#include <vector>

#include "tally/dataplane/shape.hpp"
#include "tally/odrl/evaluate.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::dataplane {

// Whether a duty is done to the stored copy after the use. What chooses rows and columns never is.
bool is_at_rest(const odrl::Obligation& duty);

// The duties of this kind that the policy has, of its permissions and its own.
std::vector<odrl::Obligation> masks_at_rest(const odrl::CompiledPolicy& policy);

// Those of `duties` as one shape of data with this schema. Which private columns may be seen was
// decided when they came. Errors: as of compile_shape; dataplane.shape-no-schema.
tl::expected<ShapePtr, std::vector<odrl::Problem>> shape_at_rest(
    const odrl::CompiledPolicy& policy,
    std::span<const RuleId> duties,
    const catalog::Schema* schema,
    const PseudonymKeys* keys
);

// For loading an offer: whether they can all be done to what its consumer holds, and whether that
// can be read afterwards. `schema`, `keys`: as of RuleShapes.
std::vector<odrl::Problem> check_at_rest(
    const odrl::CompiledPolicy& policy, const catalog::Schema* schema, const PseudonymKeys* keys
);

}  // namespace tally::dataplane
