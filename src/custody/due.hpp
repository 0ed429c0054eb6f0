// When what is held under an agreement has to go, and why. Pure.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "tally/core/instant.hpp"
#include "tally/core/message.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::custody {

struct Due {
  Instant at;
  Message reason;
  RuleId rule;             // the duty, or the rule that ended last
  bool is_duty = false;    // a duty to delete: its fulfilment is a record too
  bool after_use = false;  // it follows from a use, which has to end first
};

// When the agreement's ledger entry has to be closed as expired; nullopt: by time, never.
std::optional<Due> expiry_of(const usage::AgreementState& agreement);

// Masks that are to be done to the stored copy, and when.
struct MaskDue {
  Instant at;
  std::vector<RuleId> duties;
};
// The earliest of `masks` (dataplane::masks_at_rest) that is known to come due for what was
// received at `received`, with those that are due by then; nullopt: none.
std::optional<MaskDue> masking_of(
    const usage::AgreementState& agreement, Instant received, std::span<const RuleId> masks
);

// The earliest reason to destroy what was received at `received`; nullopt: none known now.
std::optional<Due> destruction_of(const usage::AgreementState& agreement, Instant received);

}  // namespace tally::custody
