// One act under several agreements at once: what was derived from the data of all of them goes by
// the terms of each. Any thread.
#pragma once

#include <variant>
#include <vector>

#include "tally/usage/enforcer.hpp"

namespace tally::usage {

// One for each act, in their order.
using JointGrant = std::vector<Grant>;
using JointlyAuthorised = std::variant<JointGrant, Refusal>;

// All or none: at the first refusal what was permitted before it is given back. Durable on return,
// as of `authorise`. Errors: those of it.
awaitable<Result<JointlyAuthorised>> authorise_all(Enforcer& enforcer, std::vector<Act> acts);

// As of one.
void complete_all(Enforcer& enforcer, const JointGrant& grants, const Outcome& outcome);
awaitable<void> abort_all(Enforcer& enforcer, JointGrant grants);

}  // namespace tally::usage
