#include "tally/odrl/compare.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "compare_space.hpp"
#include "imply.hpp"

namespace tally::odrl {
namespace {

Truth both(Truth a, Truth b) {
  return std::min(a, b);
}
Truth negated(Truth one) {
  return one == Truth::yes ? Truth::no : one == Truth::no ? Truth::yes : Truth::unknown;
}

Comparison answer(Verdict verdict, Comparison made = {}) {
  made.verdict = verdict;
  made.message = {
      "odrl.compare-" + std::string(to_string(verdict)),
      {{"pointer", made.pointer.empty() ? "-" : made.pointer},
       {"other", made.other_pointer.empty() ? "-" : made.other_pointer},
       {"witness", to_text(made.witness)}}};
  return made;
}

// --- which acts two rules have in common ---

bool meet(
    const std::vector<Selector>& a,
    const Plan& in,
    const std::vector<Selector>& b,
    const Plan& other
) {
  if (a.empty() || b.empty()) return true;
  return std::ranges::any_of(a, [&](const Selector& one) {
    return std::ranges::any_of(b, [&](const Selector& two) {
      return in.names[one.name] == other.names[two.name];
    });
  });
}

bool covers(
    const std::vector<Selector>& wide,
    const Plan& in,
    const std::vector<Selector>& narrow,
    const Plan& other
) {
  if (wide.empty()) return true;
  return !narrow.empty() && std::ranges::all_of(narrow, [&](const Selector& one) {
    return std::ranges::any_of(wide, [&](const Selector& two) {
      return in.names[two.name] == other.names[one.name] && two.refinements.count == 0;
    });
  });
}

// Here a rule that names no action is compared as one about any: what is asked is whether the rest
// fits together.
bool of_any_action(const Rule& rule) {
  return rule.any_action || rule.lacks_action;
}

bool actions_meet(const Rule& a, const Rule& b) {
  if (of_any_action(a) || of_any_action(b)) return true;
  return std::ranges::any_of(a.actions, [&](const ActionUse& one) {
    return std::ranges::any_of(b.actions, [&](const ActionUse& two) {
      return one.action && two.action &&
             (is_or_below(*one.action, *two.action) || is_or_below(*two.action, *one.action));
    });
  });
}

bool have_acts_in_common(const Rule& a, const Plan& in, const Rule& b, const Plan& other) {
  return actions_meet(a, b) && meet(a.targets, in, b.targets, other) &&
         meet(a.assignees, in, b.assignees, other);
}

bool covers_action(const Rule& rule, ActionId action) {
  return of_any_action(rule) || std::ranges::any_of(rule.actions, [&](const ActionUse& one) {
           return one.action && is_or_below(action, *one.action);
         });
}

// --- the conditions of a rule in a space ---

void add_rule(Space& space, const Plan& plan, const Rule& rule) {
  space.add(plan, rule.constraints);
  for (const auto& one : rule.actions) space.add(plan, one.refinements);
  for (const auto& one : rule.targets) space.add(plan, one.refinements, "target");
  for (const auto& one : rule.assignees) space.add(plan, one.refinements, "assignee");
  space.add(plan, rule.target_attributes);
  space.add(plan, rule.assignee_attributes);
}

Truth any_selector(
    const Space& space,
    const Plan& plan,
    const std::vector<Selector>& list,
    const Space::State& state
) {
  auto out = list.empty() ? Truth::yes : Truth::no;
  for (const auto& one : list) {
    out = std::max(out, space.truth(plan, one.refinements, state));
  }
  return out;
}

// Constraints and refinements; the act itself is taken to match.
Truth conditions(
    const Space& space,
    const Plan& plan,
    const Rule& rule,
    const Space::State& state,
    std::optional<ActionId> action = {}
) {
  auto out = space.truth(plan, rule.constraints, state);
  out = both(out, space.truth(plan, rule.target_attributes, state));
  out = both(out, space.truth(plan, rule.assignee_attributes, state));
  auto acts = of_any_action(rule) ? Truth::yes : Truth::no;
  for (const auto& one : rule.actions) {
    if (!one.action) acts = std::max(acts, Truth::unknown);
    if (action && one.action && !is_or_below(*action, *one.action)) continue;
    if (one.action) acts = std::max(acts, space.truth(plan, one.refinements, state));
  }
  out = both(out, acts);
  out = both(out, any_selector(space, plan, rule.targets, state));
  return both(out, any_selector(space, plan, rule.assignees, state));
}

// A duty whose act is prohibited can never be done, and its permission never used.
Truth duties_possible(
    const Space& space, const Plan& plan, const Rule& permission, const Space::State& state
) {
  auto out = Truth::yes;
  for (const auto index : permission.duties) {
    const auto& duty = plan.duties[index];
    if (!duty.action.action) continue;
    const auto& targets = duty.targets.empty() ? permission.targets : duty.targets;
    const auto& parties = duty.assignees.empty() ? permission.assignees : duty.assignees;
    for (const auto& rule : plan.rules) {
      const bool against =
          rule.kind == RuleKind::prohibition && covers_action(rule, *duty.action.action) &&
          meet(rule.targets, plan, targets, plan) && meet(rule.assignees, plan, parties, plan);
      if (!against) continue;
      const auto owed = space.truth(plan, duty.constraints, state);
      const auto forbidden = conditions(space, plan, rule, state, *duty.action.action);
      out = both(out, negated(both(owed, forbidden)));
    }
  }
  return out;
}

// Is there an act that does what `ours` asks and not what `theirs` asks?
bool asks_less(
    const Plan& in, const Duty& ours, const Plan& out, const Duty& theirs, Budget& budget
) {
  if (ours.action.action != theirs.action.action || !ours.condition) return false;
  const CompareFacts facts;
  Space space(facts, budget);
  space.add(in, ours.action.refinements);
  space.add(out, theirs.action.refinements);
  space.build();
  const auto found = space.search([&](const Space::State& state) {
    return both(
        space.truth(in, ours.action.refinements, state),
        negated(space.truth(out, theirs.action.refinements, state))
    );
  });
  return found.found == Truth::yes;
}

// Whether everything that `wide` of `plan` and the policy oblige to is owed under `like` too.
Truth duties_kept(
    const Plan& plan, const Rule& wide, const Plan& from, const Rule& like, Budget& budget
) {
  auto out = Truth::yes;
  const auto check = [&](Index wanted) {
    auto found = Truth::no;
    for (const auto* have : {&like.duties, &from.obligations}) {
      for (const auto index : *have) {
        auto one = keeps(from, from.duties[index], plan, plan.duties[wanted]);
        const bool less = one == Truth::unknown &&
                          asks_less(from, from.duties[index], plan, plan.duties[wanted], budget);
        if (less) one = Truth::no;
        found = std::max(found, one);
      }
    }
    out = both(out, found);
  };
  std::ranges::for_each(wide.duties, check);
  std::ranges::for_each(plan.obligations, check);
  return out;
}

// The same for each rule of `plan`, in their order.
std::vector<Truth> all_duties_kept(
    const Plan& plan, const Plan& from, const Rule& like, Budget& budget
) {
  std::vector<Truth> out;
  out.reserve(plan.rules.size());
  for (const auto& rule : plan.rules) out.push_back(duties_kept(plan, rule, from, like, budget));
  return out;
}

// Does the policy permit an act of `action` by whom `like` of `from` is for? Permissions that reach
// it, less prohibitions that do. `kept`: how far each rule's duties are owed under `like` too;
// empty where that is not asked.
Truth permits(
    const Space& space,
    const Plan& plan,
    ActionId action,
    const Rule& like,
    const Plan& from,
    std::span<const Truth> kept,
    const Space::State& state
) {
  auto out = Truth::no;
  for (std::size_t i = 0; i < plan.rules.size(); ++i) {
    const auto& rule = plan.rules[i];
    if (rule.kind != RuleKind::permission || !covers_action(rule, action)) continue;
    if (!covers(rule.targets, plan, like.targets, from) ||
        !covers(rule.assignees, plan, like.assignees, from)) {
      continue;
    }
    auto one = conditions(space, plan, rule, state, action);
    if (plan.conflict != Conflict::perm) {
      one = both(one, duties_possible(space, plan, rule, state));
    }
    if (!kept.empty()) one = both(one, kept[i]);
    out = std::max(out, one);
  }
  if (plan.conflict == Conflict::perm) return out;
  for (const auto& rule : plan.rules) {
    if (rule.kind != RuleKind::prohibition || !covers_action(rule, action)) continue;
    if (!meet(rule.targets, plan, like.targets, from) ||
        !meet(rule.assignees, plan, like.assignees, from)) {
      continue;
    }
    out = both(out, negated(conditions(space, plan, rule, state, action)));
  }
  return out;
}

void add_plan(Space& space, const Plan& plan) {
  for (const auto& rule : plan.rules) add_rule(space, plan, rule);
  for (const auto& duty : plan.duties) space.add(plan, duty.constraints);
}

// The acts that tell: those the rule names, and those below them that either policy prohibits.
std::set<ActionId> acts_of(const Rule& rule, const Plan& a, const Plan& b) {
  std::set<ActionId> out;
  if (of_any_action(rule)) out.insert(*find_action(iri::use));
  for (const auto& one : rule.actions) {
    if (!one.action) continue;
    out.insert(*one.action);
    for (const auto* plan : {&a, &b}) {
      for (const auto& other : plan->rules) {
        if (other.kind != RuleKind::prohibition) continue;
        for (const auto& forbidden : other.actions) {
          if (forbidden.action && is_or_below(*forbidden.action, *one.action)) {
            out.insert(*forbidden.action);
          }
        }
      }
    }
  }
  return out;
}

bool has_unknown_action(const Rule& rule) {
  return std::ranges::any_of(rule.actions, [](const ActionUse& one) { return !one.action; });
}

// --- one operand alone ---

void collect_operands(const Plan& plan, Range nodes, std::set<std::string>& out) {
  for (const auto index : plan.children_of(nodes)) {
    const auto& node = plan.node(index);
    if (node.kind == NodeKind::atom) {
      out.insert(std::string(plan.term(node).iri));
    } else {
      collect_operands(plan, node.inner, out);
    }
  }
}

std::set<std::string> operands_of(const Plan& plan) {
  std::set<std::string> out;
  for (const auto& rule : plan.rules) {
    if (rule.kind != RuleKind::permission) continue;
    for (const auto nodes : {rule.constraints, rule.target_attributes, rule.assignee_attributes}) {
      collect_operands(plan, nodes, out);
    }
  }
  return out;
}

Range keep_only(Plan& plan, Range nodes, const std::string& operand) {
  std::vector<Index> kept;
  for (const auto index : std::vector<Index>(
           plan.children.begin() + nodes.first, plan.children.begin() + nodes.first + nodes.count
       )) {
    auto& node = plan.nodes[index];
    if (node.kind == NodeKind::atom) {
      if (plan.term(node).iri == operand) kept.push_back(index);
      continue;
    }
    const auto inner = keep_only(plan, node.inner, operand);
    plan.nodes[index].inner = inner;
    if (inner.count > 0) kept.push_back(index);
  }
  const Range out{static_cast<Index>(plan.children.size()), static_cast<Index>(kept.size())};
  plan.children.insert(plan.children.end(), kept.begin(), kept.end());
  return out;
}

// A copy in which only constraints on `operand` are left.
Plan only(const Plan& plan, const std::string& operand) {
  Plan out = plan;
  for (std::size_t i = 0; i < out.extra_terms.size(); ++i) {
    out.extra_terms[i].iri = out.extra_term_iris[i];
  }
  // With fewer constraints a prohibition would forbid more.
  std::erase_if(out.rules, [](const Rule& one) { return one.kind == RuleKind::prohibition; });
  for (auto& rule : out.rules) {
    for (auto* nodes : {&rule.constraints, &rule.target_attributes, &rule.assignee_attributes}) {
      *nodes = keep_only(out, *nodes, operand);
    }
  }
  return out;
}

// --- relations ---

// What the policy says of the acts of one of its own permissions.
Truth allowed(
    const Space& space,
    const Plan& plan,
    ActionId action,
    const Rule& rule,
    const Space::State& state
) {
  return permits(space, plan, action, rule, plan, {}, state);
}

Comparison joint_of(const Plan& a, const Plan& b, const CompareFacts& facts, Budget& budget) {
  Comparison made;
  bool maybe = false;
  for (const auto& one : a.rules) {
    for (const auto& two : b.rules) {
      if (one.kind != RuleKind::permission || two.kind != RuleKind::permission) continue;
      if (has_unknown_action(one) || has_unknown_action(two)) maybe = true;
      if (!have_acts_in_common(one, a, two, b)) continue;
      made.pointer = one.pointer;
      made.other_pointer = two.pointer;
      Space space(facts, budget);
      add_plan(space, a);
      add_plan(space, b);
      space.build();
      auto acts = acts_of(one, a, b);
      acts.merge(acts_of(two, a, b));
      for (const auto action : acts) {
        if (!covers_action(one, action) || !covers_action(two, action)) continue;
        const auto found = space.search([&](const Space::State& state) {
          const auto each = both(
              conditions(space, a, one, state, action), conditions(space, b, two, state, action)
          );
          return both(
              each,
              both(allowed(space, a, action, one, state), allowed(space, b, action, two, state))
          );
        });
        if (found.found == Truth::yes) {
          made.witness = space.witness(found.state);
          return answer(Verdict::compatible, std::move(made));
        }
        maybe = maybe || found.found == Truth::unknown;
      }
    }
  }
  return answer(maybe ? Verdict::unknown : Verdict::conflict, std::move(made));
}

// Rank by which verdicts of operands combine.
int weight(Verdict verdict) {
  return verdict == Verdict::conflict ? 2 : verdict == Verdict::unknown ? 1 : 0;
}

std::optional<Comparison> contradiction(
    const Rule& permission,
    const Plan& in,
    const Rule& prohibition,
    const Plan& other,
    const CompareFacts& facts,
    Budget& budget,
    bool& maybe
) {
  if (!have_acts_in_common(permission, in, prohibition, other)) return std::nullopt;
  Space space(facts, budget);
  add_rule(space, in, permission);
  add_rule(space, other, prohibition);
  space.build();
  const auto found = space.search([&](const Space::State& state) {
    return both(
        conditions(space, in, permission, state), conditions(space, other, prohibition, state)
    );
  });
  if (found.found == Truth::unknown) maybe = true;
  if (found.found != Truth::yes) return std::nullopt;
  Comparison made;
  made.pointer = permission.pointer;
  made.other_pointer = prohibition.pointer;
  made.witness = space.witness(found.state);
  return made;
}

// An obligation is read as permitting its act; a duty whose act is prohibited makes the permission
// that carries it unusable. Either contradicts the prohibition.
std::optional<Comparison> duty_contradiction(
    const Plan& plan,
    const Duty& duty,
    const Plan& other,
    const Rule& prohibition,
    const CompareFacts& facts,
    Budget& budget,
    bool& maybe
) {
  Rule as_rule;
  as_rule.pointer = duty.pointer;
  as_rule.actions = {duty.action};
  as_rule.targets = duty.targets;
  as_rule.assignees = duty.assignees;
  as_rule.constraints = duty.constraints;
  if (duty.rule != nothing) {
    const auto& carrier = plan.rules[duty.rule];
    if (as_rule.targets.empty()) as_rule.targets = carrier.targets;
    if (as_rule.assignees.empty()) as_rule.assignees = carrier.assignees;
  }
  // What is prohibited is the duty's own act or one above it; one below leaves a way to do it.
  const bool covered = duty.action.action && covers_action(prohibition, *duty.action.action);
  if (!covered) return std::nullopt;
  return contradiction(as_rule, plan, prohibition, other, facts, budget, maybe);
}

std::optional<Comparison> contradictions(
    const Plan& plan, const Plan& other, const CompareFacts& facts, Budget& budget, bool& maybe
) {
  for (const auto& prohibition : other.rules) {
    if (prohibition.kind != RuleKind::prohibition) continue;
    for (const auto& rule : plan.rules) {
      if (rule.kind != RuleKind::permission) continue;
      if (auto found = contradiction(rule, plan, prohibition, other, facts, budget, maybe))
        return found;
    }
    for (const auto& duty : plan.duties) {
      const bool remedy =
          duty.rule != nothing && plan.rules[duty.rule].kind == RuleKind::prohibition;
      if (remedy) continue;
      if (auto found = duty_contradiction(plan, duty, other, prohibition, facts, budget, maybe)) {
        return found;
      }
    }
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  constexpr auto words = std::to_array<std::string_view>(
      {"compatible", "conflict", "refines", "not-refines", "realizable", "unrealizable", "unknown"}
  );
  return words[static_cast<std::size_t>(verdict)];
}

std::string to_text(const std::vector<WitnessValue>& witness) {
  std::string out;
  for (const auto& one : witness) {
    if (!out.empty()) out += ", ";
    out += std::string(local_name(one.operand)) + " = " + one.value;
  }
  return out.empty() ? "-" : out;
}

Comparison joint(const CompiledPolicy& a, const CompiledPolicy& b, const CompareFacts& facts) {
  Budget budget(facts.most_steps);
  return joint_of(a.plan(), b.plan(), facts, budget);
}

Comparison per_operand(
    const CompiledPolicy& a, const CompiledPolicy& b, const CompareFacts& facts
) {
  Budget budget(facts.most_steps);
  const auto ours = operands_of(a.plan());
  const auto theirs = operands_of(b.plan());
  std::set<std::string> all = ours;
  all.insert(theirs.begin(), theirs.end());
  Comparison made;
  auto worst = Verdict::compatible;
  for (const auto& operand : all) {
    auto verdict = Verdict::unknown;
    if (ours.contains(operand) && theirs.contains(operand)) {
      const auto left = only(a.plan(), operand);
      const auto right = only(b.plan(), operand);
      auto one = joint_of(left, right, facts, budget);
      verdict = one.verdict;
      made.witness.insert(made.witness.end(), one.witness.begin(), one.witness.end());
    } else if (!facts.silent_is_unknown) {
      continue;
    }
    made.operands.emplace_back(operand, verdict);
    if (weight(verdict) > weight(worst)) worst = verdict;
  }
  if (worst != Verdict::compatible) made.witness.clear();
  return answer(worst, std::move(made));
}

Comparison refines(const CompiledPolicy& a, const CompiledPolicy& b, const CompareFacts& facts) {
  const auto& ours = a.plan();
  const auto& theirs = b.plan();
  Budget budget(facts.most_steps);
  bool maybe = false;
  for (const auto& rule : ours.rules) {
    if (rule.kind != RuleKind::permission) continue;
    maybe = maybe || has_unknown_action(rule);
    const auto kept = all_duties_kept(theirs, ours, rule, budget);
    for (const auto action : acts_of(rule, ours, theirs)) {
      Space space(facts, budget);
      add_plan(space, ours);
      add_plan(space, theirs);
      space.build();
      const auto found = space.search([&](const Space::State& state) {
        auto out =
            both(conditions(space, ours, rule, state), allowed(space, ours, action, rule, state));
        return both(out, negated(permits(space, theirs, action, rule, ours, kept, state)));
      });
      maybe = maybe || found.found == Truth::unknown;
      if (found.found != Truth::yes) continue;
      Comparison made;
      made.pointer = rule.pointer;
      made.witness = space.witness(found.state);
      made.witness.insert(made.witness.begin(), {"action", std::string(action_iri(action))});
      return answer(Verdict::not_refines, std::move(made));
    }
  }
  return answer(maybe ? Verdict::unknown : Verdict::refines);
}

Comparison realizable(const CompiledPolicy& policy, const CompareFacts& facts) {
  const auto& plan = policy.plan();
  Budget budget(facts.most_steps);
  bool maybe = false;
  Comparison made;
  for (const auto& rule : plan.rules) {
    if (rule.kind != RuleKind::permission) continue;
    maybe = maybe || has_unknown_action(rule);
    for (const auto action : acts_of(rule, plan, plan)) {
      Space space(facts, budget);
      add_plan(space, plan);
      space.build();
      const auto found = space.search([&](const Space::State& state) {
        return both(
            conditions(space, plan, rule, state), allowed(space, plan, action, rule, state)
        );
      });
      maybe = maybe || found.found == Truth::unknown;
      made.pointer = rule.pointer;
      if (found.found != Truth::yes) continue;
      made.witness = space.witness(found.state);
      return answer(Verdict::realizable, std::move(made));
    }
  }
  return answer(maybe ? Verdict::unknown : Verdict::unrealizable, std::move(made));
}

Comparison conflicts(const CompiledPolicy& a, const CompiledPolicy& b, const CompareFacts& facts) {
  Budget budget(facts.most_steps);
  bool maybe = false;
  auto found = contradictions(a.plan(), b.plan(), facts, budget, maybe);
  if (!found && &a != &b) {
    found = contradictions(b.plan(), a.plan(), facts, budget, maybe);
    if (found) std::swap(found->pointer, found->other_pointer);
  }
  if (found) {
    auto out = answer(Verdict::conflict, std::move(*found));
    out.message.code = "odrl.compare-rules-conflict";
    return out;
  }
  auto out = answer(maybe ? Verdict::unknown : Verdict::compatible);
  if (!maybe) out.message.code = "odrl.compare-no-contradiction";
  return out;
}

std::vector<Problem> concerns(const CompiledPolicy& policy) {
  std::vector<Problem> out;
  CompareFacts facts;
  facts.most_steps = 100'000;
  if (auto ever = realizable(policy, facts); ever.verdict == Verdict::unrealizable) {
    out.push_back({std::move(ever.message), ""});
  }
  if (policy.plan().conflict.value_or(Conflict::invalid) == Conflict::invalid) {
    if (auto within = conflicts(policy, policy, facts); within.verdict == Verdict::conflict) {
      within.message.code = "odrl.voids-itself";
      out.push_back({std::move(within.message), within.pointer});
    }
  }
  return out;
}

}  // namespace tally::odrl
