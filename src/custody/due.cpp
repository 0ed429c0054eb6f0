#include "due.hpp"

#include <algorithm>

#include "tally/odrl/policy.hpp"
#include "tally/odrl/terms.hpp"

namespace tally::custody {

namespace {

using odrl::DeadlineKind;
using odrl::DutySummary;

// A use that was permitted a moment ago may not have opened its data yet.
constexpr Nanos use_settles = seconds(1);

std::string_view closed_name(usage::Closed closed) {
  return closed == usage::Closed::expired ? "expired" : "terminated";
}

// The permission that ended last stands for "all have ended".
RuleId last_to_end(const odrl::CompiledPolicy& policy) {
  const odrl::RuleSummary* last = nullptr;
  for (const odrl::RuleSummary& rule : policy.rules()) {
    if (rule.kind != odrl::RuleKind::permission) continue;
    if (last == nullptr ||
        (rule.not_after && (!last->not_after || *rule.not_after > *last->not_after))) {
      last = &rule;
    }
  }
  return last == nullptr ? RuleId() : last->id;
}

// The first use of what was received at `received`, as far as the ledger knows.
std::optional<Instant> first_use_since(const usage::AgreementState& agreement, Instant received) {
  if (agreement.first_use && *agreement.first_use >= received) return agreement.first_use;
  if (agreement.last_use && *agreement.last_use >= received) return agreement.last_use;
  return std::nullopt;
}

std::optional<Instant> deadline_of(
    const DutySummary& duty, const usage::AgreementState& agreement, Instant received
) {
  switch (duty.deadline) {
    case DeadlineKind::at_instant:
    case DeadlineKind::when_expired:
      return duty.at;
    case DeadlineKind::after_use:
      if (const auto use = first_use_since(agreement, received)) return add(*use, duty.after);
      return std::nullopt;
    case DeadlineKind::at_once:
      if (const auto use = first_use_since(agreement, received)) return *use + use_settles;
      return std::nullopt;
  }
  return std::nullopt;
}

void earlier(std::optional<Due>& due, Due other) {
  if (!due || other.at < due->at) due = std::move(other);
}

}  // namespace

std::optional<Due> expiry_of(const usage::AgreementState& agreement) {
  const auto end = agreement.terms.policy->not_after();
  if (!end) return std::nullopt;
  Due due;
  due.at = *end;
  due.rule = last_to_end(*agreement.terms.policy);
  due.reason = {"custody.policy-ended", {{"at", format_micros(*end)}}};
  return due;
}

std::optional<MaskDue> masking_of(
    const usage::AgreementState& agreement, Instant received, std::span<const RuleId> masks
) {
  std::optional<MaskDue> due;
  std::vector<std::pair<Instant, RuleId>> known;
  for (const DutySummary& duty : agreement.terms.policy->duties()) {
    if (std::ranges::find(masks, duty.duty) == masks.end()) continue;
    if (const auto at = deadline_of(duty, agreement, received)) known.emplace_back(*at, duty.duty);
  }
  for (const auto& [at, duty] : known) {
    if (!due || at < due->at) due = MaskDue{at, {}};
  }
  for (auto& [at, duty] : known) {
    if (at <= due->at) due->duties.push_back(std::move(duty));
  }
  return due;
}

std::optional<Due> destruction_of(const usage::AgreementState& agreement, Instant received) {
  const odrl::CompiledPolicy& policy = *agreement.terms.policy;
  std::optional<Due> due;
  // Duties come first: when one falls on the end of the policy, it is what is fulfilled.
  for (const DutySummary& duty : policy.duties()) {
    if (duty.action != odrl::iri::delete_) continue;
    const auto at = deadline_of(duty, agreement, received);
    if (!at) continue;
    Due one;
    one.at = *at;
    one.rule = duty.duty;
    one.is_duty = true;
    one.after_use =
        duty.deadline == DeadlineKind::after_use || duty.deadline == DeadlineKind::at_once;
    one.reason = {"custody.duty-due", {{"rule", duty.duty.value}, {"at", format_micros(*at)}}};
    earlier(due, std::move(one));
  }
  if (auto end = expiry_of(agreement)) earlier(due, std::move(*end));
  if (agreement.closed == usage::Closed::expired || agreement.closed == usage::Closed::terminated) {
    Due ended;
    ended.at = received;  // at once
    ended.rule = due ? due->rule : last_to_end(policy);
    ended.is_duty = due && due->is_duty;
    ended.reason = {
        "custody.agreement-ended", {{"state", std::string(closed_name(agreement.closed))}}};
    // What was due by time keeps its better reason.
    if (!due || agreement.closed == usage::Closed::terminated) return ended;
    due->at = std::min(due->at, received);
  }
  return due;
}

}  // namespace tally::custody
