// The form of an ODRL policy on the wire: what the contract schema of 2025-1 accepts and a JSON-LD
// reader keeps. Not its meaning: which terms exist, and what they say, is odrl's business. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tally/core/json.hpp"
#include "tally/core/result.hpp"

namespace tally::dsp {

enum class PolicyForm {
  catalogue_offer,  // inside a Dataset: no target
  message_offer,    // in a contract request or offer message: a target
  agreement,        // target, assigner, assignee, timestamp
};

// Whose policy is checked. A peer's may carry single values for arrays of one and members that
// nobody knows; our own may not, and holds nothing that another reader would drop or misread.
enum class PolicyOrigin { peer, own };

// What a policy without permission, prohibition and obligation says. ODRL and the protocol's schema
// know none; some connectors mean by it that use is permitted without limits.
enum class EmptyPolicy { refused, permits_use };
bool is_without_rules(const Json& policy);

// Errors: invalid, dsp.policy-*, at `pointer` + the place. The operands and actions of an own
// policy must be as `with_wire_terms` leaves them.
Result<void> check_wire_policy(
    const Json& policy,
    PolicyForm form,
    std::string_view pointer = {},
    PolicyOrigin origin = PolicyOrigin::peer,
    EmptyPolicy empty = EmptyPolicy::refused
);

// Calls `each` with every left operand and every action that is a string, wherever they stand in
// the rules; `each` may change it.
void for_each_term(
    Json& policy, const std::function<void(std::string& term, bool is_action)>& each
);

// The policy for comparison: without @id, @type, @context, target, assigner, assignee, timestamp;
// arrays where an array is meant. Two policies say the same words if to_jcs of this is equal.
Json policy_core(const Json& policy);

// Whether two policies say the same rules: the same words but for how a term is spelt (`purpose`,
// `odrl:purpose` and its IRI are one).
bool same_rules(const Json& one, const Json& other);

// A copy with single values made arrays of one (rules, duties, constraints, logical operands).
Json with_arrays(Json policy);

// A copy with the terms that the protocol's context does not know written as full IRIs: `read`,
// `odrl:read` → http://www.w3.org/ns/odrl/2/read, `tally:x` → urn:tally:profile:1#x. `use`, the
// operators and what is an IRI already stay as they are.
Json with_wire_terms(Json policy);

// "2026-01-01T00:00:00Z" and the other forms that the agreement's timestamp may have.
bool is_timestamp(std::string_view text);

}  // namespace tally::dsp
