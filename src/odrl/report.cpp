// What a decision tells of the rules it looked at: each premise with what was required, what was
// found, and who vouches for it.
#include <algorithm>
#include <array>

#include "tally/core/json.hpp"

#include "evaluation.hpp"

namespace tally::odrl {
namespace {

void append(std::string& list, std::string_view one) {
  if (!list.empty()) list += ", ";
  list += one;
}

std::string joined(std::span<const Value> values) {
  std::string out;
  for (const auto& one : values) append(out, to_text(one));
  return out;
}

std::string_view type_of(const Value& value) {
  constexpr auto words = std::to_array<std::string_view>(
      {"-",
       "IRI",
       "xsd:string",
       "xsd:boolean",
       "xsd:decimal",
       "xsd:dateTime",
       "xsd:duration",
       "xsd:hexBinary",
       "n/xsd:duration",
       "xsd:time",
       "?"}
  );
  return words[value.index()];
}

std::string_view source_of(Origin origin) {
  switch (origin) {
    case Origin::clock:
      return "clock";
    case Origin::contact:
      return "contact";
    case Origin::event:
      return "event";
    case Origin::given:
      return {};
    default:
      return "usage";
  }
}

std::string_view logical_word(NodeKind kind) {
  switch (kind) {
    case NodeKind::all:
      return "and";
    case NodeKind::any:
      return "or";
    case NodeKind::one:
      return "xone";
    default:
      return "andSequence";
  }
}

}  // namespace

void Evaluation::report_actual(const Node& node, const Scope& scope, ConstraintReport& out) const {
  const auto& term = plan_.term(node);
  if (const auto found = find_fact(node, term, scope); found.fact) {
    out.actual = joined(found.fact->values);
    out.source = found.fact->source;
    const bool declared =
        std::ranges::any_of(request_.declared, [&](const Fact& one) { return &one == found.fact; });
    out.found_in = scope.performed               ? "act"
                   : declared                    ? "request"
                   : !found.fact->entity.empty() ? "attribute"
                                                 : "measured";
    return;
  }
  out.found_in = source_of(term.origin);
  if (!scope.rule || scope.performed) return;
  const auto* usage = usage_of(*scope.rule, node.unit_of_count);
  switch (term.origin) {
    case Origin::clock:
    case Origin::event:
      out.actual = to_text(Value(TimeSpan{world_.now, world_.now + 1}));
      break;
    case Origin::uses: {
      if (node.owner != world_.here || !world_.usage_known) break;
      out.used = node.status + (usage ? usage->count : 0);
      out.actual = std::to_string(*out.used + 1);
      std::int64_t most = 0;
      for (const auto& value : plan_.values_of(node.inner)) {
        if (const auto* number = std::get_if<Decimal>(&value)) {
          most = std::max(most, integral(*number).value_or(0));
        }
      }
      out.limit = std::max<std::int64_t>(0, node.op == Operator::lt ? most - 1 : most);
      break;
    }
    case Origin::first_use:
      if (world_.usage_known && usage && usage->first_use) {
        out.actual = format_micros(*usage->first_use);
      }
      break;
    case Origin::last_use:
      if (world_.usage_known && usage && usage->last_use) {
        out.actual = format_micros(*usage->last_use);
      }
      break;
    case Origin::metered:
      if (usage && usage->metered) out.actual = format_duration(*usage->metered);
      break;
    case Origin::recent_uses:
      if (const auto* rate = std::get_if<Rate>(&plan_.values_of(node.inner).front());
          rate && node.owner == world_.here) {
        out.limit = rate->most;
        out.used = uses_within(usage, *rate);
        out.actual = std::to_string(*out.used + 1);
      }
      break;
    case Origin::contact:
      if (world_.last_contact) out.actual = format_micros(*world_.last_contact);
      break;
    case Origin::given:
      break;
  }
}

ConstraintReport Evaluation::report(Index index, const Scope& scope) const {
  const auto& node = plan_.node(index);
  const auto& text = plan_.texts[index];
  ConstraintReport out;
  out.pointer = text.pointer;
  out.id = text.id;
  const auto outcome = satisfy(node, scope);
  out.state = outcome.truth;
  out.because = outcome.because;
  if (node.kind != NodeKind::atom) {
    out.op = logical_word(node.kind);
    out.children.reserve(node.inner.count);
    for (const auto inner : plan_.children_of(node.inner)) {
      out.children.push_back(report(inner, scope));
    }
    return out;
  }
  out.left_operand = plan_.term(node).iri;
  out.op = operator_word(node.op);
  out.required = text.required;
  report_actual(node, scope, out);
  if (outcome.truth == Truth::no) out.until = turning_point(node, scope);
  return out;
}

std::optional<Instant> Evaluation::turning_point(const Node& node, const Scope& scope) const {
  if (!world_.clock_reliable || node.fault != Fault::none) return std::nullopt;
  const auto required = required_values(node);
  if (!required || required->empty()) return std::nullopt;
  const auto& value = required->front();
  switch (plan_.term(node).origin) {
    case Origin::clock: {
      const auto* span = std::get_if<TimeSpan>(&value);
      if (!span || required->size() > 1) return std::nullopt;
      const bool start = node.op == Operator::lt || node.op == Operator::gteq;
      const bool ahead = node.op == Operator::eq && world_.now < span->start;
      return start || ahead ? span->start : span->end;
    }
    case Origin::first_use:
    case Origin::last_use:
    case Origin::contact: {
      const auto* span = std::get_if<XsdDuration>(&value);
      const auto begin = since(node, scope);
      if (!span || !begin.from) return std::nullopt;
      return add(*begin.from, *span);
    }
    case Origin::recent_uses: {
      const auto* rate = std::get_if<Rate>(&value);
      const auto* usage = scope.rule ? usage_of(*scope.rule, node.unit_of_count) : nullptr;
      const auto within = rate ? uses_within(usage, *rate) : 0;
      if (!rate || rate->most <= 0 || within < rate->most) return std::nullopt;
      // Once this one has left the window, one more fits in.
      const auto& uses = *usage->recent_uses;
      return add(uses[uses.size() - static_cast<std::size_t>(rate->most)], rate->window);
    }
    default:
      return std::nullopt;
  }
}

DutyReport Evaluation::report(const Duty& duty) const {
  DutyReport out;
  out.duty = duty.id;
  out.action = name(duty.action.name);
  out.pointer = duty.pointer;
  const auto status = status_of(duty);
  out.active = status.active;
  const bool owed = status.active == Truth::yes;
  if (owed && status.violated) out.state = Deontic::violated;
  if (owed && status.fulfilled) out.state = Deontic::fulfilled;
  out.blocks = blocks(duty, status) || status.violated;
  const Rule* rule = duty.rule == nothing ? nullptr : &plan_.rules[duty.rule];
  for (const auto index : plan_.children_of(duty.constraints)) {
    out.constraints.push_back(report(index, {rule, {}, nullptr}));
  }
  return out;
}

void Evaluation::report_refinements(const Rule& rule, RuleReport& out) const {
  const auto add = [&](Range nodes, const Scope& scope) {
    for (const auto index : plan_.children_of(nodes)) {
      out.refinements.push_back(report(index, scope));
    }
  };
  for (const auto& action : rule.actions) add(action.refinements, {&rule, {}, nullptr});
  for (const auto& one : rule.targets) add(one.refinements, {nullptr, request_.target, nullptr});
  for (const auto& one : rule.assignees) {
    add(one.refinements, {nullptr, request_.assignee, nullptr});
  }
  add(rule.target_attributes, {&rule, {}, nullptr});
  add(rule.assignee_attributes, {&rule, {}, nullptr});
}

// What was done under the rule: at this very instant, or earlier where nothing about the rule can
// have been different then.
bool Evaluation::exercised(const Rule& rule) const {
  const bool always = rule.kind == RuleKind::prohibition && rule.constraints.count == 0;
  return std::ranges::any_of(world_.performed, [&](const PerformedAct& act) {
    const auto done = find_action(act.action);
    if (!done || !act.at) return false;
    if (act.at != world_.now && !(always && *act.at <= world_.now)) return false;
    const bool covered = std::ranges::any_of(rule.actions, [&](const ActionUse& one) {
      return one.action && is_or_below(*done, *one.action);
    });
    return covered && match_any(rule.targets, act.target).truth == Truth::yes &&
           match_any(rule.assignees, act.party).truth == Truth::yes;
  });
}

RuleReport Evaluation::report(const RuleState& state) const {
  const Rule& rule = *state.rule;
  RuleReport out;
  out.rule = rule.id;
  out.kind = rule.kind;
  out.pointer = rule.pointer;
  out.active = state.active();
  out.match = state.matches();
  if (exercised(rule)) {
    const bool permits = rule.kind == RuleKind::permission;
    if (permits) out.state = out.active ? Deontic::fulfilled : Deontic::violated;
    if (!permits && out.active) out.state = Deontic::violated;
  }
  out.action = state.action;
  out.target = state.target;
  out.party = state.party;
  out.names_action = action_ && std::ranges::any_of(rule.actions, [&](const ActionUse& one) {
                       return one.action && is_or_below(*action_, *one.action);
                     });
  out.names_target = !request_.target.empty() && is_named(rule.targets, request_.target);
  out.names_party = !request_.assignee.empty() && is_named(rule.assignees, request_.assignee);
  for (const auto& action : rule.actions) append(out.required_action, name(action.name));
  for (const auto& one : rule.targets) append(out.required_target, name(one.name));
  for (const auto& one : rule.assignees) append(out.required_party, name(one.name));
  out.constraints.reserve(rule.constraints.count);
  for (const auto index : plan_.children_of(rule.constraints)) {
    out.constraints.push_back(report(index, {&rule, {}, nullptr}));
  }
  report_refinements(rule, out);
  out.conditions.reserve(rule.duties.size());
  for (const auto index : rule.duties) out.conditions.push_back(report(plan_.duties[index]));
  const bool waits = std::ranges::any_of(out.conditions, &DutyReport::blocks);
  out.applies = rule.kind == RuleKind::prohibition ? state.constraints != Truth::no
                                                   : state.constraints == Truth::yes && !waits;
  return out;
}

void Evaluation::collect_unknowns(Range nodes, const Scope& scope, std::vector<Problem>& out)
    const {
  for (const auto index : plan_.children_of(nodes)) {
    const auto& node = plan_.node(index);
    if (node.kind != NodeKind::atom) {
      collect_unknowns(node.inner, scope, out);
      continue;
    }
    const auto one = satisfy(node, scope);
    const bool told = node.fault != Fault::none;  // as a doubt of the policy
    if (one.truth != Truth::unknown || told) continue;
    const auto& term = plan_.term(node);
    const auto found = find_fact(node, term, scope);
    const bool has = found.fact && !found.fact->values.empty();
    out.push_back(
        {{"odrl." + std::string(one.because),
          {{"operand", std::string(local_name(term.iri))},
           {"operator", std::string(operator_word(node.op))},
           {"value", has ? to_text(found.fact->values.front()) : "-"},
           {"found", has ? std::string(type_of(found.fact->values.front())) : "-"},
           {"expected", std::string(to_string(term.kind))},
           {"required", plan_.texts[index].required}}},
         plan_.texts[index].pointer}
    );
  }
}

// What would have to be known: words that nobody knows, the request's own gaps, and values.
void Evaluation::collect_unknowns(const RuleState& state, std::vector<Problem>& out) const {
  const Rule& rule = *state.rule;
  const auto within = [](const std::string& inner, const std::string& outer) {
    return inner.starts_with(outer) && (inner.size() == outer.size() || inner[outer.size()] == '/');
  };
  for (const auto& doubt : plan_.doubts) {
    const bool obliges = std::ranges::any_of(plan_.obligations, [&](Index index) {
      return within(doubt.pointer, plan_.duties[index].pointer);
    });
    if (obliges || within(doubt.pointer, rule.pointer)) out.push_back(doubt);
  }
  const auto missing = [&](Truth truth, const std::string& given, const char* operand) {
    if (truth != Truth::unknown || !given.empty()) return;
    out.push_back({{"odrl.missing-value", {{"operand", operand}}}, rule.pointer});
  };
  missing(state.target, request_.target, "target");
  missing(state.party, request_.assignee, "assignee");
  const Scope act{&rule, {}, nullptr};
  for (const auto& action : rule.actions) collect_unknowns(action.refinements, act, out);
  for (const auto& one : rule.targets) {
    if (!request_.target.empty()) {
      collect_unknowns(one.refinements, {nullptr, request_.target, nullptr}, out);
    }
  }
  for (const auto& one : rule.assignees) {
    if (!request_.assignee.empty()) {
      collect_unknowns(one.refinements, {nullptr, request_.assignee, nullptr}, out);
    }
  }
  collect_unknowns(rule.target_attributes, act, out);
  collect_unknowns(rule.assignee_attributes, act, out);
  collect_unknowns(rule.constraints, act, out);
}

}  // namespace tally::odrl
