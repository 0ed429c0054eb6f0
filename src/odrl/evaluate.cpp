#include "tally/odrl/evaluate.hpp"

#include <algorithm>
#include <array>

#include "tally/core/json.hpp"

#include "plan.hpp"

namespace tally::odrl {
namespace {

constexpr auto reasons = std::to_array<std::string_view>({
    "permitted",
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
    "clock-unreliable",
});

// Why something is unknown, as bits: when only the clock is in doubt the answer says so.
enum Doubt : std::uint8_t { no_doubt = 0, clock_doubt = 1, other_doubt = 2 };

struct Outcome {
  Truth truth = Truth::yes;
  std::uint8_t doubt = no_doubt;
  std::string_view because = "satisfied";
};

Outcome known(bool truth, std::string_view failure) {
  return {truth ? Truth::yes : Truth::no, no_doubt, truth ? "satisfied" : failure};
}
Outcome unknown(Doubt doubt, std::string_view because) {
  return {Truth::unknown, doubt, because};
}

Truth both(Truth a, Truth b) {
  return std::min(a, b);
}

bool is_archive(std::optional<ActionId> action) {
  static const auto archive = find_action(iri::archive);
  return action == archive;
}

// The state of the world as one decision sees it.
class Evaluation {
 public:
  Evaluation(const Plan& plan, const Request& request, const World& world)
      : plan_(plan), request_(request), world_(world), action_(find_action(request.action)) {}

  Decision decide(Explain explain);

 private:
  struct RuleState {
    const Rule* rule = nullptr;
    Truth action = Truth::yes;
    Truth target = Truth::yes;
    Truth party = Truth::yes;
    Truth constraints = Truth::yes;
    Truth overall = Truth::yes;  // all four
    std::uint8_t doubt = no_doubt;
    bool violated = false;  // a duty of a permission is overdue
    [[nodiscard]] bool matches() const { return both(action, both(target, party)) == Truth::yes; }
  };

  RuleState state_of(const Rule& rule) const;
  Truth listed(const std::vector<std::string>& list, const std::string& one) const;
  Outcome value_of(const Node& node, const Rule& rule) const;
  Outcome all_of(const std::vector<Node>& nodes, const Rule& rule) const;
  Outcome value_of(const Atom& atom, const Rule& rule) const;
  Outcome date_time(const Atom& atom) const;
  Outcome count(const Atom& atom, const Rule& rule) const;
  Outcome purpose(const Atom& atom) const;
  Outcome elapsed(const Atom& atom, const Rule& rule) const;
  bool inside(const std::string& narrow, const std::string& broad, std::size_t depth = 0) const;
  const RuleUsage* usage_of(const RuleId& rule) const;
  Truth overdue(const DutySummary& duty) const;

  void next_change(const std::vector<Node>& nodes, const Rule& rule, std::optional<Instant>& at)
      const;
  void soonest(Instant candidate, std::optional<Instant>& at) const {
    if (candidate > world_.now && (!at || candidate < *at)) at = candidate;
  }
  void collect_unknowns(const std::vector<Node>& nodes, const Rule& rule, std::vector<Problem>& out)
      const;

  ConstraintReport report(const Node& node, const Rule& rule) const;
  RuleReport report(const RuleState& state, bool active) const;

  const Plan& plan_;
  const Request& request_;
  const World& world_;
  std::optional<ActionId> action_;
};

const RuleUsage* Evaluation::usage_of(const RuleId& rule) const {
  const auto found = std::ranges::find(world_.usage, rule, &UsageEntry::rule);
  return found == world_.usage.end() ? nullptr : &found->usage;
}

Truth Evaluation::listed(const std::vector<std::string>& list, const std::string& one) const {
  if (list.empty()) return Truth::yes;
  if (one.empty()) return Truth::unknown;
  return std::ranges::find(list, one) == list.end() ? Truth::no : Truth::yes;
}

Outcome Evaluation::date_time(const Atom& atom) const {
  if (!world_.clock_reliable) return unknown(clock_doubt, "clock-unreliable");
  const auto& spans = std::get<std::vector<TimeSpan>>(atom.values);
  const auto now = world_.now;
  const auto inside_span = [&](const TimeSpan& span) {
    return now >= span.start && now < span.end;
  };
  switch (atom.op) {
    case Operator::lt:
      return known(now < spans.front().start, "ended");
    case Operator::lteq:
      return known(now < spans.front().end, "ended");
    case Operator::gt:
      return known(now >= spans.front().end, "not-yet");
    case Operator::gteq:
      return known(now >= spans.front().start, "not-yet");
    case Operator::eq:
    case Operator::is_any_of:
      return known(
          std::ranges::any_of(spans, inside_span),
          std::ranges::all_of(spans, [&](const auto& span) { return now >= span.end; }) ? "ended"
                                                                                        : "not-yet"
      );
    case Operator::neq:
    case Operator::is_none_of:
      return known(std::ranges::none_of(spans, inside_span), "not-permitted-value");
    case Operator::is_all_of:
      return known(std::ranges::all_of(spans, inside_span), "not-permitted-value");
    default:
      return unknown(other_doubt, "incomparable");
  }
}

Outcome Evaluation::count(const Atom& atom, const Rule& rule) const {
  if (atom.owner != world_.here) {
    // Filling the custody is no use where the other side counts; any other act would slip past it.
    return known(is_archive(action_), "counted-elsewhere");
  }
  if (!world_.usage_known) return unknown(other_doubt, "state-unavailable");
  const auto& values = std::get<std::vector<std::int64_t>>(atom.values);
  const auto* usage = usage_of(rule.id);
  const std::int64_t value = (usage ? usage->count : 0) + 1;  // this execution included
  const auto first = values.front();
  const bool any = std::ranges::find(values, value) != values.end();
  switch (atom.op) {
    case Operator::lt:
      return known(value < first, "limit-reached");
    case Operator::lteq:
      return known(value <= first, "limit-reached");
    case Operator::gt:
      return known(value > first, "not-yet");
    case Operator::gteq:
      return known(value >= first, "not-yet");
    case Operator::eq:
    case Operator::is_any_of:
      return known(
          any, value > *std::ranges::max_element(values) ? "limit-reached" : "not-permitted-value"
      );
    case Operator::neq:
    case Operator::is_none_of:
      return known(!any, "not-permitted-value");
    case Operator::is_all_of:
      return known(
          std::ranges::all_of(values, [&](auto one) { return one == value; }), "not-permitted-value"
      );
    default:
      return unknown(other_doubt, "incomparable");
  }
}

bool Evaluation::inside(const std::string& narrow, const std::string& broad, std::size_t depth)
    const {
  if (narrow == broad) return true;
  // A path is never longer than the list; a circle ends here.
  if (depth > world_.taxonomy.size() || depth > 64) return false;
  return std::ranges::any_of(world_.taxonomy, [&](const Broader& step) {
    return step.narrower == narrow && inside(step.broader, broad, depth + 1);
  });
}

Outcome Evaluation::purpose(const Atom& atom) const {
  const auto& declared = request_.purposes;
  if (declared.empty()) return unknown(other_doubt, "missing-value");
  const auto& listed = std::get<std::vector<std::string>>(atom.values);
  const auto is_listed = [&](const std::string& one) {
    return std::ranges::find(listed, one) != listed.end();
  };
  const auto below_listed = [&](const std::string& one) {
    return std::ranges::any_of(listed, [&](const auto& broad) { return inside(one, broad); });
  };
  const auto above_listed = [&](const std::string& one) {
    return std::ranges::all_of(listed, [&](const auto& narrow) { return inside(narrow, one); });
  };
  constexpr std::string_view failure = "not-permitted-value";
  // What a requester declares is what it intends: every one of it has to be permitted.
  switch (atom.op) {
    case Operator::eq:
    case Operator::is_any_of:
      return known(std::ranges::all_of(declared, is_listed), failure);
    case Operator::neq:
    case Operator::is_none_of:
      return known(std::ranges::none_of(declared, is_listed), failure);
    case Operator::is_all_of:
      return known(
          std::ranges::all_of(
              listed,
              [&](const auto& one) { return std::ranges::find(declared, one) != declared.end(); }
          ),
          failure
      );
    case Operator::is_a:
    case Operator::is_part_of:
      return known(std::ranges::all_of(declared, below_listed), failure);
    case Operator::has_part:
      return known(std::ranges::all_of(declared, above_listed), failure);
    default:
      return unknown(other_doubt, "incomparable");
  }
}

// now − first use against a span, by the calendar: the instants are compared, which always decides.
Outcome Evaluation::elapsed(const Atom& atom, const Rule& rule) const {
  if (!world_.usage_known) return unknown(other_doubt, "state-unavailable");
  if (!world_.clock_reliable) return unknown(clock_doubt, "clock-unreliable");
  const auto* usage = usage_of(rule.id);
  if (usage && usage->count > 0 && !usage->first_use) {
    return unknown(other_doubt, "state-unavailable");
  }
  const auto from = usage && usage->first_use ? *usage->first_use : world_.now;
  const auto edge = add(from, std::get<std::vector<XsdDuration>>(atom.values).front());
  const auto now = world_.now;
  switch (atom.op) {
    case Operator::lt:
      return known(now < edge, "ended");
    case Operator::lteq:
      return known(now <= edge, "ended");
    case Operator::gt:
      return known(now > edge, "not-yet");
    case Operator::gteq:
      return known(now >= edge, "not-yet");
    case Operator::neq:
      return known(now != edge, "not-permitted-value");
    default:
      return unknown(other_doubt, "incomparable");
  }
}

Outcome Evaluation::value_of(const Atom& atom, const Rule& rule) const {
  switch (atom.operand) {
    case Operand::date_time:
      return date_time(atom);
    case Operand::count:
      return count(atom, rule);
    case Operand::purpose:
      return purpose(atom);
    case Operand::elapsed_time:
      return elapsed(atom, rule);
  }
  return unknown(other_doubt, "missing-value");
}

Outcome Evaluation::all_of(const std::vector<Node>& nodes, const Rule& rule) const {
  Outcome out;
  for (const auto& node : nodes) {
    const auto one = value_of(node, rule);
    out.truth = both(out.truth, one.truth);
    out.doubt |= one.doubt;
  }
  if (out.truth != Truth::unknown) out.doubt = no_doubt;
  return out;
}

Outcome Evaluation::value_of(const Node& node, const Rule& rule) const {
  if (node.kind == NodeKind::atom) return value_of(node.atom, rule);
  Outcome out;
  if (node.kind == NodeKind::all) {
    out = all_of(node.children, rule);
  } else {
    std::size_t yes = 0;
    std::size_t no = 0;
    for (const auto& inner : node.children) {
      const auto one = value_of(inner, rule);
      yes += one.truth == Truth::yes ? 1U : 0U;
      no += one.truth == Truth::no ? 1U : 0U;
      out.doubt |= one.doubt;
    }
    const std::size_t all = node.children.size();
    if (node.kind == NodeKind::any) {
      out.truth = yes > 0 ? Truth::yes : no == all ? Truth::no : Truth::unknown;
    } else if (yes > 1 || no == all) {
      out.truth = Truth::no;
    } else {
      out.truth = yes == 1 && no == all - 1 ? Truth::yes : Truth::unknown;
    }
    if (out.truth != Truth::unknown) out.doubt = no_doubt;
  }
  out.because = out.truth == Truth::yes  ? "satisfied"
                : out.truth == Truth::no ? "not-satisfied"
                                         : "undecidable";
  return out;
}

Truth Evaluation::overdue(const DutySummary& duty) const {
  if (std::ranges::find(world_.overdue, duty.duty) != world_.overdue.end()) return Truth::yes;
  if (duty.deadline != DeadlineKind::at_instant) return Truth::no;
  if (!world_.clock_reliable) return Truth::unknown;
  return world_.now > *duty.at ? Truth::yes : Truth::no;
}

Evaluation::RuleState Evaluation::state_of(const Rule& rule) const {
  RuleState state;
  state.rule = &rule;
  if (!action_) {
    state.action = Truth::unknown;
    state.doubt |= other_doubt;
  } else if (std::ranges::none_of(rule.actions, [&](ActionId one) {
               return is_or_below(*action_, one);
             })) {
    state.action = Truth::no;
  }
  state.target = listed(rule.targets, request_.target);
  state.party = listed(rule.assignees, request_.assignee);
  if (state.target == Truth::unknown || state.party == Truth::unknown) state.doubt |= other_doubt;
  const auto constraints = all_of(rule.constraints, rule);
  state.constraints = constraints.truth;
  state.doubt |= constraints.doubt;
  state.overall = both(both(state.action, state.target), both(state.party, state.constraints));
  if (rule.kind == RuleKind::permission && state.overall != Truth::no) {
    const auto check = [&](std::size_t index) {
      const auto late = overdue(plan_.duties[index]);
      if (late == Truth::yes) state.violated = true;
      if (late == Truth::unknown) {
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

void Evaluation::next_change(
    const std::vector<Node>& nodes, const Rule& rule, std::optional<Instant>& at
) const {
  for (const auto& node : nodes) {
    if (node.kind != NodeKind::atom) {
      next_change(node.children, rule, at);
      continue;
    }
    const auto& atom = node.atom;
    if (atom.operand == Operand::date_time) {
      for (const auto& span : std::get<std::vector<TimeSpan>>(atom.values)) {
        const bool start = atom.op != Operator::lteq && atom.op != Operator::gt;
        const bool end = atom.op != Operator::lt && atom.op != Operator::gteq;
        if (start) soonest(span.start, at);
        if (end) soonest(span.end, at);
      }
    } else if (atom.operand == Operand::elapsed_time) {
      const auto* usage = usage_of(rule.id);
      const auto from = usage && usage->first_use ? *usage->first_use : world_.now;
      const auto edge = add(from, std::get<std::vector<XsdDuration>>(atom.values).front());
      const bool after = atom.op == Operator::lteq || atom.op == Operator::gt;
      soonest(after ? edge + 1 : edge, at);
      if (atom.op == Operator::neq) soonest(edge + 1, at);
    }
  }
}

void Evaluation::collect_unknowns(
    const std::vector<Node>& nodes, const Rule& rule, std::vector<Problem>& out
) const {
  for (const auto& node : nodes) {
    if (node.kind != NodeKind::atom) {
      collect_unknowns(node.children, rule, out);
      continue;
    }
    const auto one = value_of(node.atom, rule);
    if (one.truth != Truth::unknown) continue;
    out.push_back(
        {{"odrl." + std::string(one.because),
          {{"operand", std::string(operand_word(node.atom.operand))}}},
         node.pointer}
    );
  }
}

std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (const auto& one : list) {
    if (!text.empty()) text += ", ";
    text += one;
  }
  return text;
}

ConstraintReport Evaluation::report(const Node& node, const Rule& rule) const {
  ConstraintReport out;
  out.pointer = node.pointer;
  const auto outcome = value_of(node, rule);
  out.state = outcome.truth;
  out.because = std::string(outcome.because);
  if (node.kind != NodeKind::atom) {
    out.op = node.kind == NodeKind::all ? "and" : node.kind == NodeKind::any ? "or" : "xone";
    for (const auto& inner : node.children) out.children.push_back(report(inner, rule));
    return out;
  }
  const auto& atom = node.atom;
  out.left_operand = std::string(operand_iri(atom.operand));
  out.op = std::string(operator_word(atom.op));
  out.required = atom.required;
  const auto* usage = usage_of(rule.id);
  switch (atom.operand) {
    case Operand::date_time:
      out.actual = format_micros(world_.now);
      break;
    case Operand::count: {
      if (atom.owner != world_.here || !world_.usage_known) break;
      const auto& values = std::get<std::vector<std::int64_t>>(atom.values);
      const auto most = *std::ranges::max_element(values);
      out.used = usage ? usage->count : 0;
      out.actual = std::to_string(*out.used + 1);
      out.limit = std::max<std::int64_t>(0, atom.op == Operator::lt ? most - 1 : most);
      break;
    }
    case Operand::purpose:
      out.actual = joined(request_.purposes);
      out.source = world_.purpose_source;
      break;
    case Operand::elapsed_time:
      if (!world_.usage_known) break;
      out.actual = usage && usage->first_use ? format_micros(*usage->first_use) : "";
      break;
  }
  return out;
}

RuleReport Evaluation::report(const RuleState& state, bool active) const {
  const Rule& rule = *state.rule;
  RuleReport out;
  out.rule = rule.id;
  out.kind = rule.kind;
  out.pointer = rule.pointer;
  out.active = active;
  out.action = state.action;
  out.target = state.target;
  out.party = state.party;
  for (const auto action : rule.actions) {
    if (!out.required_action.empty()) out.required_action += ", ";
    out.required_action += action_iri(action);
  }
  out.required_target = joined(rule.targets);
  out.required_party = joined(rule.assignees);
  for (const auto& node : rule.constraints) out.constraints.push_back(report(node, rule));
  return out;
}

Decision Evaluation::decide(Explain explain) {
  Decision decision;
  decision.action = request_.action;
  decision.target = request_.target;
  decision.assignee = request_.assignee;
  if (plan_.type == PolicyType::offer) {
    decision.reason = Reason::not_in_force;
    return decision;
  }
  if (!action_) {
    decision.reason = Reason::undecidable;
    decision.errors.push_back({{"odrl.unknown-request-action", {{"action", request_.action}}}, ""});
    return decision;
  }

  // Best so far of each kind; rules are looked at in the order of the document.
  std::optional<RuleState> permitting, violated, undecided, closest;
  std::optional<RuleState> prohibiting, doubtful;
  std::size_t closest_failures = 0;
  for (const auto& rule : plan_.rules) {
    const auto state = state_of(rule);
    if (rule.kind == RuleKind::prohibition) {
      if (state.overall == Truth::yes && !prohibiting) prohibiting = state;
      if (state.overall == Truth::unknown && !doubtful) doubtful = state;
      continue;
    }
    if (state.overall == Truth::yes && !state.violated) {
      // If several would do: one without a counter, then the first.
      if (!permitting || (permitting->rule->has_count() && !rule.has_count())) permitting = state;
    }
    if (state.violated && !violated) violated = state;
    if (state.overall == Truth::unknown && !undecided) undecided = state;
    std::size_t failures = 0;
    for (const auto premise : {state.action, state.target, state.party}) {
      failures += premise == Truth::yes ? 0U : 1000U;  // what does not match is far
    }
    if (state.constraints != Truth::yes) {
      for (const auto& node : rule.constraints) {
        failures += value_of(node, rule).truth == Truth::yes ? 0U : 1U;
      }
    }
    if (!closest || failures < closest_failures) {
      closest = state;
      closest_failures = failures;
    }
  }

  const auto undecidable = [](const RuleState& state) {
    return state.doubt == clock_doubt ? Reason::clock_unreliable : Reason::undecidable;
  };
  std::optional<RuleState> decisive;
  const bool conflict = permitting && prohibiting;
  if (conflict && plan_.conflict == Conflict::invalid) {
    decision.reason = Reason::policy_void;
    decisive = prohibiting;
  } else if (doubtful) {
    decision.reason = undecidable(*doubtful);
    decisive = doubtful;
  } else if (prohibiting && !(conflict && plan_.conflict == Conflict::perm)) {
    decision.reason = Reason::prohibited;
    decisive = prohibiting;
  } else if (permitting) {
    decision.permit = true;
    decision.reason = Reason::permitted;
    decisive = permitting;
  } else if (violated) {
    decision.reason = Reason::condition_violated;
    decisive = violated;
  } else if (undecided) {
    decision.reason = undecidable(*undecided);
    decisive = undecided;
  } else {
    decision.reason = Reason::no_active_permission;
    decisive = closest;
  }
  if (decisive) decision.decisive_rule = decisive->rule->id;

  if (decision.permit) {
    const Rule& rule = *permitting->rule;
    next_change(rule.constraints, rule, decision.valid_until);
    for (const auto& other : plan_.rules) {
      if (other.kind == RuleKind::prohibition) {
        next_change(other.constraints, other, decision.valid_until);
      }
    }
    const auto oblige = [&](std::size_t index) {
      const auto& duty = plan_.duties[index];
      Obligation obligation;
      obligation.duty = duty.duty;
      obligation.permission = duty.permission;
      obligation.action = duty.action;
      obligation.deadline = duty.deadline;
      obligation.at = duty.at;
      obligation.after = duty.after;
      if (duty.deadline == DeadlineKind::at_instant) {
        soonest(*duty.at + 1, decision.valid_until);
      }
      decision.obligations.push_back(std::move(obligation));
    };
    std::ranges::for_each(rule.duties, oblige);
    std::ranges::for_each(plan_.obligations, oblige);
    Consume consume;
    consume.rule = rule.id;
    // Where only the other side counts, the act is no use here, unless the time since the first one
    // is measured here. Filling the custody never is a use of the side that holds it.
    const bool elsewhere = rule.has_count() && !rule.counts_at(world_.here) && !rule.has_elapsed;
    const bool fills_custody = world_.here == Side::consumer && is_archive(action_);
    consume.n = elsewhere || fills_custody ? 0 : 1;
    decision.consume.push_back(std::move(consume));
  } else if (decision.reason == Reason::undecidable || decision.reason == Reason::clock_unreliable) {
    const Rule& rule = *decisive->rule;
    if (decisive->target == Truth::unknown) {
      decision.errors.push_back({{"odrl.missing-value", {{"operand", "target"}}}, rule.pointer});
    }
    if (decisive->party == Truth::unknown) {
      decision.errors.push_back({{"odrl.missing-value", {{"operand", "assignee"}}}, rule.pointer});
    }
    collect_unknowns(rule.constraints, rule, decision.errors);
  }

  if (explain == Explain::none) return decision;
  const auto active = [](const RuleState& state) {
    return state.rule->kind == RuleKind::prohibition
               ? state.overall != Truth::no
               : state.overall == Truth::yes && !state.violated;
  };
  if (decisive) decision.rules.push_back(report(*decisive, active(*decisive)));
  if (explain == Explain::full) {
    for (const auto& rule : plan_.rules) {
      if (decisive && &rule == decisive->rule) continue;
      const auto state = state_of(rule);
      decision.rules.push_back(report(state, active(state)));
    }
  }
  return decision;
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

std::string_view to_string(Truth truth) {
  constexpr auto words = std::to_array<std::string_view>({"unsatisfied", "unknown", "satisfied"});
  return words[static_cast<std::size_t>(truth)];
}

std::string_view to_string(Phase phase) {
  constexpr auto words = std::to_array<std::string_view>({"before", "with", "after"});
  return words[static_cast<std::size_t>(phase)];
}

Decision evaluate(
    const CompiledPolicy& policy, const Request& request, const World& world, Explain explain
) {
  return Evaluation(policy.plan(), request, world).decide(explain);
}

}  // namespace tally::odrl
