#include "tally/odrl/informing.hpp"

#include <algorithm>
#include <array>

#include "loader.hpp"

namespace tally::odrl {

namespace {

// What the IDS codes call the time of a use that was permitted, or done.
constexpr auto told_levels = std::to_array<std::string_view>({"ON_ALLOW", "ON_ACTION_OPERATED"});

}  // namespace

bool is_informing(std::string_view action) {
  return action == iri::inform || action == iri::ids_notify;
}

std::vector<Informing> informing_of(const CompiledPolicy& policy) {
  const Plan& plan = policy.plan();
  std::vector<Informing> out;
  const auto take = [&](Index index) {
    const Duty& duty = plan.duties[index];
    if (!is_informing(plan.names[duty.action.name])) return;
    Informing one;
    one.duty = duty.id;
    if (duty.rule != nothing) one.permission = plan.rules[duty.rule].id;
    for (const auto& [function, party] : duty.parties) {
      if (function == "informedParty") one.party = party;
    }
    if (duty.deadline == DeadlineKind::after_use) one.within = duty.after;
    out.push_back(std::move(one));
  };
  for (const auto& rule : plan.rules) {
    if (rule.kind == RuleKind::permission) std::ranges::for_each(rule.duties, take);
  }
  std::ranges::for_each(plan.obligations, take);
  return out;
}

// A use is told when it has ended: told "with" it, it is told then. What cannot be told so is
// refused where it would have to be done.
void Loader::check_informing(Duty& duty) {
  if (!is_informing(plan_->names[duty.action.name])) return;
  if (duty.phase == Phase::with) duty.phase = Phase::after;
  if (duty.phase != Phase::after) unsupported("odrl.inform-before", {}, duty.pointer);
  if (duty.deadline == DeadlineKind::at_instant) {
    unsupported("odrl.inform-deadline", {}, duty.pointer);
  }
  std::size_t parties = 0;
  for (const auto& parameter : duty.parameters) {
    const auto& operand = plan_->names[parameter.operand];
    if (operand == iri::informed_party) parties += parameter.values.count;
    if (operand != iri::notification_level) continue;
    const auto level = local_name(parameter.text);
    if (!detail::holds(told_levels, level)) {
      unsupported("odrl.inform-level", {{"level", parameter.text}}, duty.pointer);
    }
  }
  if (parties > 1) unsupported("odrl.inform-parties", {}, duty.pointer);
}

}  // namespace tally::odrl
