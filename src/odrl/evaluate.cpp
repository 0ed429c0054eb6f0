// The decision: what the rules together come to.
#include "tally/odrl/evaluate.hpp"

#include <algorithm>
#include <array>

#include "evaluation.hpp"

namespace tally::odrl {
namespace {

constexpr auto reasons = std::to_array<std::string_view>({
    "permitted",
    "not-prohibited",
    "prohibited",
    "no-active-permission",
    "condition-unfulfilled",
    "condition-violated",
    "policy-void",
    "obligation-unenforceable",
    "not-in-force",
    "policy-replaced",
    "unsupported-profile",
    "invalid-policy",
    "undecidable",
    "agreement-closed",
    "held",
    "clock-unreliable",
});

// A rule with the policy it is from.
struct Candidate {
  RuleState state;
  const Evaluation* in = nullptr;
  explicit operator bool() const { return in != nullptr; }
};

// The best of each kind; rules are looked at in the order of the documents.
struct Standing {
  Candidate permitting, unenforceable, violated, unfulfilled, undecided, closest;
  Candidate prohibiting, doubtful;
  std::size_t closest_failures = 0;
};

void remember(Candidate& place, const RuleState& state, const Evaluation& in) {
  if (!place) place = {state, &in};
}

Reason doubt_as_reason(const RuleState& state) {
  if (state.doubt == clock_doubt) return Reason::clock_unreliable;
  // Only the other side could count it: it is not permitted here.
  if (state.doubt == elsewhere_doubt) return Reason::no_active_permission;
  return Reason::undecidable;
}

// How far a permission is from being Active: what does not match is far.
std::size_t failures_of(const Evaluation& in, const RuleState& state) {
  std::size_t out = 0;
  for (const auto premise : {state.action, state.target, state.party}) {
    out += premise == Truth::yes ? 0U : 1000U;
  }
  if (state.constraints == Truth::yes) return out;
  for (const auto index : in.plan().children_of(state.rule->constraints)) {
    const auto one = in.satisfy(in.plan().node(index), {state.rule, {}, nullptr});
    out += one.truth == Truth::yes ? 0U : 1U;
  }
  return out;
}

bool carries_unenforceable(const Evaluation& in, const Rule& rule) {
  const auto cannot = [&](Index index) {
    const auto& duty = in.plan().duties[index];
    if (duty.condition || in.enforceable(duty)) return false;
    return in.status_of(duty).active != Truth::no;
  };
  return std::ranges::any_of(rule.duties, cannot) ||
         std::ranges::any_of(in.plan().obligations, cannot);
}

void look_at_permission(const Evaluation& in, const RuleState& state, Standing& standing) {
  if (state.active()) {
    if (carries_unenforceable(in, *state.rule)) {
      remember(standing.unenforceable, state, in);
      return;
    }
    // If several would do: one without a counter, then the first.
    auto& best = standing.permitting;
    if (!best || (best.state.rule->has_count() && !state.rule->has_count())) best = {state, &in};
    return;
  }
  if (state.overall != Truth::no && state.violated) remember(standing.violated, state, in);
  if (state.overall == Truth::yes && state.unfulfilled) remember(standing.unfulfilled, state, in);
  if (state.overall == Truth::unknown) remember(standing.undecided, state, in);
  if (standing.permitting) return;
  const auto failures = failures_of(in, state);
  if (!standing.closest || failures < standing.closest_failures) {
    standing.closest = {state, &in};
    standing.closest_failures = failures;
  }
}

void look_at(const Evaluation& in, Standing& standing) {
  for (const auto& rule : in.plan().rules) {
    const auto state = in.state_of(rule);
    if (rule.kind == RuleKind::permission) {
      look_at_permission(in, state, standing);
    } else if (state.overall == Truth::yes) {
      remember(standing.prohibiting, state, in);
    } else if (state.overall == Truth::unknown) {
      remember(standing.doubtful, state, in);
    }
  }
}

// Not stated means invalid. Stated in different ways: invalid, since then a conflict voids.
Conflict term_of(std::span<const Evaluation> policies) {
  std::optional<Conflict> out;
  for (const auto& one : policies) {
    const auto& plan = one.plan();
    const auto stated = plan.conflict.value_or(Conflict::invalid);
    if (plan.conflict_disputed || (out && *out != stated)) return Conflict::invalid;
    out = stated;
  }
  return out.value_or(Conflict::invalid);
}

// Prohibitions, active but for their action, of what an active permission implies: they stand
// against it as one of the act itself does.
void look_at_implied(std::span<const Evaluation> policies, Standing& standing) {
  if (!standing.permitting) return;
  for (const auto& in : policies) {
    for (const auto& rule : in.plan().rules) {
      const bool against =
          rule.kind == RuleKind::prohibition && in.implies(*standing.permitting.state.rule, rule);
      if (!against) continue;
      const auto state = in.state_of(rule);
      const auto rest = both(both(state.target, state.party), state.constraints);
      if (rest == Truth::yes) remember(standing.prohibiting, state, in);
      if (rest == Truth::unknown) remember(standing.doubtful, state, in);
    }
  }
}

Obligation obligation_of(const Plan& plan, const Duty& duty) {
  Obligation out;
  out.duty = duty.id;
  if (duty.rule != nothing) out.permission = plan.rules[duty.rule].id;
  out.action = plan.names[duty.action.name];
  out.phase = duty.phase;
  out.deadline = duty.deadline;
  out.at = duty.at;
  out.after = duty.after;
  for (const auto& one : duty.parameters) {
    const auto values = plan.values_of(one.values);
    out.parameters.push_back(
        {plan.names[one.operand], one.op, {values.begin(), values.end()}, one.text}
    );
  }
  out.parties = duty.parties;
  out.pointer = duty.pointer;
  return out;
}

// What follows from a permit: obligations, the counter that moves, and until when it holds.
void grant(const Candidate& by, const Request& request, const World& world, Decision& decision) {
  const auto& in = *by.in;
  const auto& plan = in.plan();
  const Rule& rule = *by.state.rule;
  in.next_change(rule.constraints, {&rule, {}, nullptr}, decision.valid_until);
  for (const auto& action : rule.actions) {
    in.next_change(action.refinements, {&rule, {}, nullptr}, decision.valid_until);
  }
  for (const auto& target : rule.targets) {
    in.next_change(target.refinements, {nullptr, request.target, nullptr}, decision.valid_until);
  }
  const auto oblige = [&](Index index) {
    const auto& duty = plan.duties[index];
    if (duty.condition) return;
    const auto status = in.status_of(duty);
    // What is not owed now is left out; what may be owed is not.
    if (status.active == Truth::no) return;
    if (duty.phase == Phase::before && status.fulfilled) return;
    decision.obligations.push_back(obligation_of(plan, duty));
    const bool turns = duty.deadline == DeadlineKind::at_instant && *duty.at + 1 > world.now;
    if (turns && (!decision.valid_until || *duty.at + 1 < *decision.valid_until)) {
      decision.valid_until = *duty.at + 1;
    }
  };
  std::ranges::for_each(rule.duties, oblige);
  std::ranges::for_each(plan.obligations, oblige);
  for (const auto index : rule.duties) in.next_change(plan.duties[index], decision.valid_until);
  Consume consume;
  consume.rule = rule.id;
  const auto& limits = plan.summaries[static_cast<std::size_t>(&rule - plan.rules.data())].limits;
  if (!limits.empty()) consume.unit = limits.front().unit;
  // Where only the other side counts, the act is no use here, unless the time since the first one
  // is measured here. What the provider serves never is a use of the side that asks for it.
  const bool elsewhere = rule.has_count() && !rule.counts_at(world.here) && !rule.since_first_use;
  const bool asks = world.here == Side::consumer && in.is_provider_act();
  consume.n = elsewhere || asks ? 0 : 1;
  if (consume.n > 0) {
    consume.window = rule.window_at(world.here);
    consume.metered = rule.metered_at(world.here);
  }
  const auto used = std::ranges::find(world.usage, rule.id, &UsageEntry::rule);
  consume.count_after = consume.n + (used == world.usage.end() ? 0 : used->usage.count);
  decision.consume.push_back(std::move(consume));
}

struct Answer {
  Reason reason = Reason::no_active_permission;
  Candidate by;
};

// The order in which reasons win (docs/odrl-engine.md, "Three truth values").
Answer answer_of(std::span<const Evaluation> policies, const Standing& standing, bool open) {
  const auto conflict = term_of(policies);
  const bool collides = standing.permitting && standing.prohibiting;
  if (collides && conflict == Conflict::invalid) return {Reason::policy_void, standing.prohibiting};
  if (standing.doubtful) {
    auto reason = doubt_as_reason(standing.doubtful.state);
    if (reason == Reason::no_active_permission) reason = Reason::undecidable;
    return {reason, standing.doubtful};
  }
  if (standing.prohibiting && !(collides && conflict == Conflict::perm)) {
    return {Reason::prohibited, standing.prohibiting};
  }
  if (standing.permitting) return {Reason::permitted, standing.permitting};
  if (standing.unenforceable) return {Reason::obligation_unenforceable, standing.unenforceable};
  if (standing.violated) return {Reason::condition_violated, standing.violated};
  if (standing.unfulfilled) return {Reason::condition_unfulfilled, standing.unfulfilled};
  if (standing.undecided) return {doubt_as_reason(standing.undecided.state), standing.undecided};
  if (open) return {Reason::not_prohibited, {}};
  return {Reason::no_active_permission, standing.closest};
}

void explain_decision(
    std::span<const Evaluation> policies,
    const Candidate& decisive,
    Explain explain,
    Decision& decision
) {
  if (decisive) decision.rules.push_back(decisive.in->report(decisive.state));
  if (explain != Explain::full) return;
  for (const auto& in : policies) {
    for (const auto& rule : in.plan().rules) {
      if (decisive && &rule == decisive.state.rule) continue;
      decision.rules.push_back(in.report(in.state_of(rule)));
    }
    for (const auto index : in.plan().obligations) {
      decision.duties.push_back(in.report(in.plan().duties[index]));
    }
  }
}

Decision decide(
    std::span<const Evaluation> policies,
    const Request& request,
    const World& world,
    const EvaluateOptions& options
) {
  Decision decision;
  decision.evaluated_at = world.now;
  if (options.explain != Explain::none) {
    decision.action = request.action;
    decision.target = request.target;
    decision.assignee = request.assignee;
    for (const auto& one : policies) decision.policies.push_back(one.plan().uid);
  }
  if (policies.empty()) {
    decision.reason = Reason::not_in_force;
    return decision;
  }
  if (!find_action(request.action)) {
    decision.reason = Reason::undecidable;
    decision.errors.push_back({{"odrl.unknown-request-action", {{"action", request.action}}}, ""});
    return decision;
  }
  Standing standing;
  for (const auto& one : policies) look_at(one, standing);
  look_at_implied(policies, standing);
  const auto answer = answer_of(policies, standing, options.open);
  decision.reason = answer.reason;
  decision.permit = answer.reason == Reason::permitted || answer.reason == Reason::not_prohibited;
  if (answer.by) decision.decisive_rule = answer.by.state.rule->id;
  if (answer.reason == Reason::permitted) {
    grant(answer.by, request, world, decision);
    for (const auto& in : policies) {
      for (const auto& rule : in.plan().rules) {
        if (rule.kind != RuleKind::prohibition) continue;
        in.next_change(rule.constraints, {&rule, {}, nullptr}, decision.valid_until);
      }
    }
  } else if (answer.reason == Reason::undecidable || answer.reason == Reason::clock_unreliable) {
    answer.by.in->collect_unknowns(answer.by.state, decision.errors);
  }
  if (options.explain != Explain::none) {
    explain_decision(policies, answer.by, options.explain, decision);
  }
  return decision;
}

bool in_force(const CompiledPolicy& policy) {
  return policy.type() == PolicyType::set || policy.type() == PolicyType::agreement;
}

}  // namespace

std::string_view to_string(Source source) {
  constexpr auto words =
      std::to_array<std::string_view>({"measured", "certificate", "registration", "asserted"});
  return words[static_cast<std::size_t>(source)];
}

std::string_view to_string(Reason reason) {
  return reasons[static_cast<std::size_t>(reason)];
}

std::optional<Reason> parse_reason(std::string_view code) {
  const auto found = std::ranges::find(reasons, code);
  if (found == reasons.end()) return std::nullopt;
  return static_cast<Reason>(found - reasons.begin());
}

std::string_view to_string(Deontic state) {
  constexpr auto words = std::to_array<std::string_view>({"NonSet", "Fulfilled", "Violated"});
  return words[static_cast<std::size_t>(state)];
}

Fact declared_names(std::string_view operand, std::span<const std::string> names, Source source) {
  Fact out;
  out.operand = operand;
  out.source = source;
  out.values.reserve(names.size());
  for (const auto& one : names) out.values.emplace_back(Name{one});
  return out;
}

Decision evaluate(
    std::span<const CompiledPolicy* const> policies,
    const Request& request,
    const World& world,
    const EvaluateOptions& options
) {
  std::vector<Evaluation> list;
  list.reserve(policies.size());
  for (const auto* policy : policies) {
    if (in_force(*policy)) list.emplace_back(policy->plan(), request, world, options);
  }
  return decide(list, request, world, options);
}

Decision evaluate(
    const CompiledPolicy& policy,
    const Request& request,
    const World& world,
    const EvaluateOptions& options
) {
  if (!in_force(policy)) return decide({}, request, world, options);
  const Evaluation one(policy.plan(), request, world, options);
  return decide({&one, 1}, request, world, options);
}

std::vector<Obligation> possible_obligations(
    const CompiledPolicy& policy, const RuleId& permission
) {
  const Plan& plan = policy.plan();
  std::vector<Obligation> out;
  const auto rule = std::ranges::find_if(plan.rules, [&](const Rule& one) {
    return one.kind == RuleKind::permission && one.id == permission;
  });
  if (rule == plan.rules.end()) return out;
  const auto take = [&](Index index) {
    if (!plan.duties[index].condition) out.push_back(obligation_of(plan, plan.duties[index]));
  };
  std::ranges::for_each(rule->duties, take);
  std::ranges::for_each(plan.obligations, take);
  return out;
}

std::vector<Obligation> confirmed_duties(const CompiledPolicy& policy) {
  const Plan& plan = policy.plan();
  std::vector<Obligation> out;
  for (const auto& rule : plan.rules) {
    if (rule.kind != RuleKind::permission) continue;
    for (const auto index : rule.duties) {
      const auto& duty = plan.duties[index];
      const auto& action = plan.names[duty.action.name];
      if (action != iri::compensate && action != iri::obtain_consent) continue;
      out.push_back(obligation_of(plan, duty));
      out.back().permission = rule.id;
    }
  }
  return out;
}

PerformedAct act_of(const Obligation& duty, std::string party, std::string target, Instant at) {
  PerformedAct act;
  act.action = duty.action;
  act.party = std::move(party);
  act.target = std::move(target);
  act.at = at;
  act.duty = duty.duty;
  // As Loader::refine_by asks for it: an amount in its currency, and a period since the act.
  const auto named = [&duty](std::string_view word) {
    return std::ranges::find_if(duty.parameters, [word](const DutyParameter& one) {
      return local_name(one.operand) == word;
    });
  };
  const auto currency = named("currency");
  const auto amount = named("payAmount");
  for (auto one = duty.parameters.begin(); one != duty.parameters.end(); ++one) {
    if (local_name(one->operand) == "paidWithin") continue;
    if (one == currency && amount != duty.parameters.end()) continue;
    Fact fact;
    fact.operand = one == amount ? std::string(iri::pay_amount) : one->operand;
    fact.values = one->values;
    if (one == amount && currency != duty.parameters.end()) fact.unit = currency->text;
    fact.source = Source::registration;
    act.values.push_back(std::move(fact));
  }
  return act;
}

Decision monitor(const CompiledPolicy& policy, const World& world) {
  const Request nobody;
  const EvaluateOptions options;
  const Evaluation in(policy.plan(), nobody, world, options);
  Decision decision;
  decision.reason = Reason::no_active_permission;
  for (const auto& rule : policy.plan().rules) {
    decision.rules.push_back(in.report(in.state_of(rule)));
  }
  for (const auto index : policy.plan().obligations) {
    decision.duties.push_back(in.report(policy.plan().duties[index]));
  }
  return decision;
}

}  // namespace tally::odrl
