// Assets, parties, actions and duties: the premises of a rule that are no constraints.
#include <algorithm>

#include "evaluation.hpp"

namespace tally::odrl {
namespace {

Outcome unknown(Doubt doubt) {
  return {Truth::unknown, doubt, "missing-value"};
}

// Kleene's or over alternatives.
void add_alternative(Outcome& so_far, const Outcome& one) {
  so_far.truth = so_far.truth < one.truth ? one.truth : so_far.truth;
  so_far.doubt |= one.doubt;
  if (so_far.truth != Truth::unknown) so_far.doubt = no_doubt;
}

}  // namespace

bool Evaluation::fills_custody() const {
  static const auto archive = find_action(iri::archive);
  return action_ == archive;
}

bool Evaluation::is_provider_act() const {
  static const auto aggregate = find_action(iri::aggregate);
  const bool asks = action_ == aggregate || request_.passed_on;
  return fills_custody() || (asks && world_.here == Side::consumer);
}

bool Evaluation::is_member(const std::string& entity, const std::string& collection) const {
  if (entity == collection) return true;
  if (world_.memberships.empty()) return false;
  // Each round goes one step out from everything reached; a circle adds nothing new and ends.
  std::vector<std::string_view> reached{entity};
  for (std::size_t i = 0; i < reached.size(); ++i) {
    for (const auto& step : world_.memberships) {
      if (step.member != reached[i]) continue;
      if (step.part_of == collection) return true;
      if (std::ranges::find(reached, step.part_of) == reached.end()) {
        reached.push_back(step.part_of);
      }
    }
  }
  return false;
}

bool Evaluation::is_named(const Selector& selector, const std::string& entity) const {
  return is_member(entity, name(selector.name)) ||
         (selector.source != nothing && is_member(entity, name(selector.source)));
}

bool Evaluation::is_named(const std::vector<Selector>& list, const std::string& entity) const {
  return list.empty() ||
         std::ranges::any_of(list, [&](const Selector& one) { return is_named(one, entity); });
}

Outcome Evaluation::match(const Selector& selector, const std::string& entity) const {
  if (!is_named(selector, entity)) return {Truth::no, no_doubt, "not-permitted-value"};
  if (selector.refinements.count == 0) return {};
  return satisfy_all(selector.refinements, {nullptr, entity, nullptr});
}

Outcome Evaluation::match_any(const std::vector<Selector>& selectors, const std::string& entity)
    const {
  if (selectors.empty()) return {};
  if (entity.empty()) return unknown(other_doubt);
  Outcome out{Truth::no, no_doubt, "not-permitted-value"};
  for (const auto& one : selectors) {
    add_alternative(out, match(one, entity));
    if (out.truth == Truth::yes) break;
  }
  return out;
}

Outcome Evaluation::match_action(const Rule& rule) const {
  if (!action_) return unknown(other_doubt);
  if (rule.any_action) return {};
  if (rule.lacks_action) return unknown(other_doubt);
  Outcome out{Truth::no, no_doubt, "not-permitted-value"};
  for (const auto& one : rule.actions) {
    if (!one.action) {
      // Nobody knows what it covers.
      add_alternative(out, unknown(other_doubt));
      continue;
    }
    if (!is_or_below(*action_, *one.action)) continue;
    add_alternative(out, satisfy_all(one.refinements, {&rule, {}, nullptr}));
  }
  return out;
}

bool Evaluation::implies(const Rule& permission, const Rule& prohibition) const {
  for (const auto& granted : permission.actions) {
    if (!granted.action) continue;
    const auto implied = known_actions()[*granted.action].implies;
    if (implied.empty()) continue;
    for (const auto& forbidden : prohibition.actions) {
      if (forbidden.action && is_or_below(implied, action_iri(*forbidden.action))) return true;
    }
  }
  return false;
}

// A recorded act of the class, before now, with its refinements true, by whom the duty names.
bool Evaluation::is_doing(const PerformedAct& act, const Duty& duty) const {
  if (!act.duty.empty() && act.duty != duty.id) return false;
  const auto done = find_action(act.action);
  if (!done || !is_or_below(*done, *duty.action.action)) return false;
  if (!act.at || *act.at > world_.now) return false;
  if (match_any(duty.assignees, act.party).truth != Truth::yes) return false;
  if (!duty.targets.empty() && match_any(duty.targets, act.target).truth != Truth::yes) {
    return false;
  }
  return satisfy_all(duty.action.refinements, {nullptr, {}, &act}).truth == Truth::yes;
}

Evaluation::Done Evaluation::done(const Duty& duty) const {
  Done out;
  if (!duty.action.action) return out;
  for (const auto& act : world_.performed) {
    if (!is_doing(act, duty)) continue;
    if (!out.first || *act.at < *out.first) out.first = act.at;
    if (!out.last || *act.at > *out.last) out.last = act.at;
    out.accepted = out.accepted || !act.duty.empty();
  }
  return out;
}

void Evaluation::next_change(const Duty& duty, std::optional<Instant>& at) const {
  if (!duty.condition || !duty.action.action) return;
  for (const auto& act : world_.performed) {
    if (is_doing(act, duty)) next_change(duty.action.refinements, {nullptr, {}, &act}, at);
  }
}

// What is owed within a time after each use, and was neither done nor can be any more. Of the uses
// only the first and the last are known, so what is said of those between them is said too late
// rather than wrongly.
bool Evaluation::is_late_after_use(const Duty& duty, const Done& done) const {
  if (duty.deadline != DeadlineKind::after_use || !world_.usage_known) return false;
  const auto late = [&](const Rule& rule) {
    const auto* usage = usage_of(rule, nothing);
    if (!usage) return false;
    const auto& from = done.last && usage->first_use && *usage->first_use <= *done.last
                           ? usage->last_use
                           : usage->first_use;
    if (!from || (done.last && *from <= *done.last)) return false;
    return add(*from, duty.after) < world_.now;
  };
  if (duty.rule != nothing) return late(plan_.rules[duty.rule]);
  return std::ranges::any_of(plan_.rules, late);
}

bool Evaluation::is_overdue(const Duty& duty, const Done& done) const {
  if (world_.overdue) {
    return std::ranges::find(*world_.overdue, duty.id) != world_.overdue->end();
  }
  return world_.clock_reliable && is_late_after_use(duty, done);
}

DutyStatus Evaluation::status_of(const Duty& duty) const {
  DutyStatus out;
  const Rule* rule = duty.rule == nothing ? nullptr : &plan_.rules[duty.rule];
  out.active = satisfy_all(duty.constraints, {rule, {}, nullptr}).truth;
  for (const auto& state : world_.duty_states) {
    if (state.duty != duty.id) continue;
    out.fulfilled = state.fulfilled;
    out.violated = state.violated;
  }
  const auto when = done(duty);
  out.violated = out.violated || is_overdue(duty, when);
  // A duty of a time that ended before the act was done was not fulfilled in time.
  const bool timed = duty.deadline == DeadlineKind::at_instant;
  // Whether what a use owes is late cannot be told; what the enforcer does itself it keeps track
  // of.
  if (rule && duty.deadline == DeadlineKind::after_use && !world_.clock_reliable &&
      duty.action.action && !known_actions()[*duty.action.action].carried_out) {
    const auto* usage = usage_of(*rule, nothing);
    const auto last = usage ? usage->last_use : std::nullopt;
    out.clock_in_doubt = last && !(when.last && *when.last >= *last);
  }
  const bool too_late = timed && when.first && *when.first > *duty.at && !when.accepted;
  out.fulfilled = !out.violated && !too_late && (out.fulfilled || when.first.has_value());
  if (out.fulfilled) return out;
  if (timed && !world_.clock_reliable) out.clock_in_doubt = true;
  if (timed && world_.clock_reliable && world_.now > *duty.at) out.violated = true;
  // What follows from not fulfilling it adds to it: done late, with all that follows, it is done.
  const bool made_good = when.first && !duty.consequences.empty() &&
                         std::ranges::all_of(duty.consequences, [&](Index one) {
                           return status_of(plan_.duties[one]).fulfilled;
                         });
  if (made_good) {
    out.fulfilled = true;
    out.violated = out.clock_in_doubt = false;
  }
  return out;
}

bool Evaluation::blocks(const Duty& duty, const DutyStatus& status) const {
  if (!duty.condition || status.active == Truth::no) return false;
  if (options_.conditions == EvaluateOptions::Conditions::not_violated) return false;
  return !status.fulfilled;
}

bool Evaluation::enforceable(const Duty& duty) const {
  if (!duty.action.action) return false;
  if (!options_.enforceable) return true;
  return std::ranges::any_of(*options_.enforceable, [&](const std::string& can) {
    const auto known = find_action(can);
    return known && is_or_below(*duty.action.action, *known);
  });
}

RuleState Evaluation::state_of(const Rule& rule) const {
  RuleState state;
  state.plan = &plan_;
  state.rule = &rule;
  const auto action = match_action(rule);
  state.action = action.truth;
  state.doubt |= action.doubt;
  const Scope act{&rule, {}, nullptr};
  const auto premise =
      [&](const std::vector<Selector>& selectors, const std::string& entity, Range attributes) {
        const auto one = match_any(selectors, entity);
        const auto other = satisfy_all(attributes, act);
        state.doubt |= one.doubt | other.doubt;
        return both(one.truth, other.truth);
      };
  state.target = premise(rule.targets, request_.target, rule.target_attributes);
  state.party = premise(rule.assignees, request_.assignee, rule.assignee_attributes);
  state.overall = both(state.action, both(state.target, state.party));
  const auto constraints = satisfy_all(rule.constraints, act);
  state.constraints = constraints.truth;
  state.doubt |= constraints.doubt;
  state.overall = both(state.overall, state.constraints);
  if (rule.kind == RuleKind::permission && state.overall != Truth::no) {
    const auto check = [&](Index index) {
      const auto& duty = plan_.duties[index];
      const auto status = status_of(duty);
      if (status.violated) state.violated = true;
      if (blocks(duty, status)) state.unfulfilled = true;
      // What a duty asks and nobody understands cannot be taken as done, nor as not owed.
      const bool unclear = duty.undecidable && status.active == Truth::unknown;
      if (!duty.action.action || unclear) {
        state.overall = both(state.overall, Truth::unknown);
        state.doubt |= other_doubt;
      }
      if (status.clock_in_doubt) {
        state.overall = both(state.overall, Truth::unknown);
        state.doubt |= clock_doubt;
      }
    };
    std::ranges::for_each(rule.duties, check);
    std::ranges::for_each(plan_.obligations, check);
  }
  if (state.overall != Truth::unknown) state.doubt = no_doubt;
  return state;
}

}  // namespace tally::odrl
