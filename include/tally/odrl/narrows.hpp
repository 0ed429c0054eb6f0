// Does a counter-offer, or an agreement, permit anything that the offer does not?
//
// Used before anything is signed. Sound, not complete: what cannot be decided counts as widening.
// Not compared: uid, type, policy-level target, assigner, assignee and timestamp, which are the
// negotiation's own business. Pure.
#pragma once

#include <optional>
#include <string>

#include "tally/odrl/policy.hpp"

namespace tally::odrl {

struct Widening {
  std::string pointer;       // in the request: the constraint, or the rule that lacks one
  std::string left_operand;  // IRI, or empty when no constraint is at fault
  std::string required;      // what the offer says
  std::string found;         // what the request says; empty: nothing
  Message message;           // the sentence for the one who asked
};

// The first way in which `request` goes beyond `offer`; nullopt: it stays within.
std::optional<Widening> widens(const CompiledPolicy& offer, const CompiledPolicy& request);
// The same for documents. One that cannot be loaded widens, with its first problem.
std::optional<Widening> widens(
    const Json& offer, const Json& request, const LoadOptions& options = {}
);

}  // namespace tally::odrl
