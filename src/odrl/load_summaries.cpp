// What a policy says in sums, for those who do not decide: limits, bounds in time, duties with
// their deadlines.
#include <algorithm>

#include "loader.hpp"

namespace tally::odrl {
namespace {

// No fewer seconds than the span has from any date on.
std::int64_t at_most_seconds(const XsdDuration& span) {
  constexpr std::int64_t day = 24L * 3600;
  constexpr std::int64_t longest = 1'000'000'000'000;
  const auto months = std::min<std::int64_t>(span.months, longest / (31 * day));
  return months * 31 * day + std::min(span.seconds, longest) + 1;
}

}  // namespace

void Loader::collect_limits(Rule& rule, RuleSummary& summary, Range nodes) {
  for (const auto index : plan_->children_of(nodes)) {
    const auto& node = plan_->node(index);
    if (node.kind != NodeKind::atom) {
      collect_limits(rule, summary, node.inner);
      continue;
    }
    const auto origin = plan_->term(node).origin;
    rule.since_first_use = rule.since_first_use || origin == Origin::first_use;
    const bool counted = origin == Origin::uses || origin == Origin::recent_uses;
    rule.stateful = rule.stateful || counted || origin == Origin::first_use ||
                    origin == Origin::last_use || origin == Origin::metered;
    const bool provider = node.owner == Side::provider;
    if (origin == Origin::metered) {
      (provider ? rule.metered_at_provider : rule.metered_at_consumer) = true;
    }
    if (!counted) continue;
    (provider ? rule.counts_at_provider : rule.counts_at_consumer) = true;
    const auto values = plan_->values_of(node.inner);
    const auto* rate = values.empty() ? nullptr : std::get_if<Rate>(&values.front());
    if (rate) {
      auto& longest = provider ? rule.window_at_provider : rule.window_at_consumer;
      longest = std::max(longest, at_most_seconds(rate->window));
      summary.rates.push_back(
          {rule.id, rate->most, rate->window, node.owner, plan_->texts[index].pointer}
      );
    }
    const bool bounds = node.op == Operator::lt || node.op == Operator::lteq ||
                        node.op == Operator::eq || node.op == Operator::is_any_of;
    if (!bounds || origin != Origin::uses || values.empty()) continue;
    std::int64_t most = 0;
    for (const auto& value : values) {
      if (const auto* number = std::get_if<Decimal>(&value)) {
        most = std::max(most, integral(*number).value_or(0));
      }
    }
    LimitSummary limit;
    limit.rule = rule.id;
    if (node.unit_of_count != nothing) limit.unit = plan_->names[node.unit_of_count];
    limit.limit = most;
    limit.allowed = std::max<std::int64_t>(0, node.op == Operator::lt ? most - 1 : most);
    limit.owner = node.owner;
    limit.op = node.op;
    limit.pointer = plan_->texts[index].pointer;
    summary.limits.push_back(std::move(limit));
  }
}

void Loader::finish_rule(Rule& rule) {
  RuleSummary summary;
  summary.id = rule.id;
  summary.kind = rule.kind;
  summary.pointer = rule.pointer;
  for (const auto& action : rule.actions) summary.actions.push_back(plan_->names[action.name]);
  collect_limits(rule, summary, rule.constraints);
  const auto bounds = time_bounds(*plan_, rule.constraints);
  summary.not_before = bounds.from;
  summary.not_after = bounds.until;
  if (rule.kind == RuleKind::prohibition && rule.stateful) {
    // Uses are counted under the permission that carried them, so a prohibition's own count would
    // stay at nothing and never forbid.
    unsupported("odrl.stateful-prohibition", {{"rule", rule.id.value}}, rule.pointer);
  }
  plan_->summaries.push_back(std::move(summary));
}

void Loader::summarise_duties() {
  // An obligation to delete without a deadline: the data go when nobody may use them any more.
  // If that never comes by itself, and for a duty of a permission, they go with the end of the use.
  const auto summarise = [&](Index index) {
    auto& duty = plan_->duties[index];
    if (duty.phase != Phase::after) return;
    const bool deletes = plan_->names[duty.action.name] == iri::delete_;
    if (duty.rule == nothing && duty.deadline == DeadlineKind::at_once && plan_->not_after &&
        deletes) {
      duty.deadline = DeadlineKind::when_expired;
      duty.at = plan_->not_after;
    }
    DutySummary out;
    out.duty = duty.id;
    if (duty.rule != nothing) out.permission = plan_->rules[duty.rule].id;
    out.action = plan_->names[duty.action.name];
    out.deadline = duty.deadline;
    out.at = duty.at;
    out.after = duty.after;
    out.pointer = duty.pointer;
    plan_->duty_summaries.push_back(std::move(out));
  };
  for (const auto& rule : plan_->rules) {
    if (rule.kind == RuleKind::permission) std::ranges::for_each(rule.duties, summarise);
  }
  std::ranges::for_each(plan_->obligations, summarise);
}

void Loader::finish() {
  auto& plan = *plan_;
  std::optional<Instant> latest;
  bool bounded = true;
  bool any_permission = false;
  for (auto& rule : plan.rules) {
    finish_rule(rule);
    if (rule.kind != RuleKind::permission) continue;
    any_permission = true;
    const auto& end = plan.summaries.back().not_after;
    bounded = bounded && end;
    if (end && (!latest || *end > *latest)) latest = end;
  }
  if (any_permission && bounded) plan.not_after = latest;
  summarise_duties();
  if (plan.assignee.empty() && plan.type == PolicyType::agreement && !plan.rules.empty()) {
    warn("odrl.parties-in-rules", {}, "");
  }
  if (uses_profile_ && !names_profile_) {
    warn("odrl.profile-not-named", {{"profile", std::string(iri::profile)}}, "");
  }
}

}  // namespace tally::odrl
