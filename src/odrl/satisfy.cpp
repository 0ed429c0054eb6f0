// Constraints in three truth values. The one place where a value of the world meets a right
// operand.
#include <algorithm>

#include "evaluation.hpp"

namespace tally::odrl {
namespace {

Outcome known(bool truth, std::string_view failure) {
  return {truth ? Truth::yes : Truth::no, no_doubt, truth ? "satisfied" : failure};
}
Outcome unknown(Doubt doubt, std::string_view because) {
  return {Truth::unknown, doubt, because};
}
Outcome outcome_of(const Compared& compared) {
  return {
      compared.truth, compared.truth == Truth::unknown ? other_doubt : no_doubt, compared.because};
}

// elapsedTime and meteredTime eq D are budgets: at most D.
Operator as_budget(Operator op) {
  return op == Operator::eq ? Operator::lteq : op;
}

std::uint8_t bit_of(Source source) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(source));
}

// now against `edge`, the end of a span that began earlier.
Outcome time_against(Instant now, Instant edge, Operator op) {
  switch (op) {
    case Operator::lt:
      return known(now < edge, "ended");
    case Operator::lteq:
      return known(now <= edge, "ended");
    case Operator::gt:
      return known(now > edge, "not-yet");
    case Operator::gteq:
      return known(now >= edge, "not-yet");
    case Operator::eq:
      return known(now == edge, "not-permitted-value");
    case Operator::neq:
      return known(now != edge, "not-permitted-value");
    default:
      return unknown(other_doubt, "operator-mismatch");
  }
}

const XsdDuration* duration_of(std::span<const Value> required) {
  return required.empty() ? nullptr : std::get_if<XsdDuration>(&required.front());
}

// A count that no one gave a type stays a number of uses.
bool count_holds(std::int64_t value, Operator op, std::span<const Value> required) {
  const auto number = [](const Value& one) {
    const auto* decimal = std::get_if<Decimal>(&one);
    return decimal ? integral(*decimal) : std::nullopt;
  };
  const auto is_value = [&](const Value& one) { return number(one) == value; };
  const auto first = number(required.front());
  switch (op) {
    case Operator::lt:
      return first && value < *first;
    case Operator::lteq:
      return first && value <= *first;
    case Operator::gt:
      return first && value > *first;
    case Operator::gteq:
      return first && value >= *first;
    case Operator::eq:
    case Operator::is_any_of:
      return std::ranges::any_of(required, is_value);
    case Operator::neq:
    case Operator::is_none_of:
      return std::ranges::none_of(required, is_value);
    default:
      return std::ranges::all_of(required, is_value);
  }
}

std::string_view count_failure(std::int64_t value, Operator op, std::span<const Value> required) {
  if (op == Operator::gt || op == Operator::gteq) return "not-yet";
  if (op == Operator::lt || op == Operator::lteq) return "limit-reached";
  if (op != Operator::eq && op != Operator::is_any_of) return "not-permitted-value";
  const bool beyond = std::ranges::all_of(required, [&](const Value& one) {
    const auto* decimal = std::get_if<Decimal>(&one);
    return decimal && value > integral(*decimal).value_or(value);
  });
  return beyond ? "limit-reached" : "not-permitted-value";
}

}  // namespace

const RuleUsage* Evaluation::usage_of(const Rule& rule, Index unit) const {
  for (const auto& entry : world_.usage) {
    const bool same_unit = unit == nothing ? entry.unit.empty() : entry.unit == name(unit);
    if (same_unit && entry.rule == rule.id) return &entry.usage;
  }
  return nullptr;
}

std::optional<std::span<const Value>> Evaluation::required_values(const Node& node) const {
  if (node.reference == nothing) return plan_.values_of(node.inner);
  for (const auto& one : world_.references) {
    if (one.iri == name(node.reference)) return one.values;
  }
  return std::nullopt;
}

// Whether the world itself says something of the value: then nobody else's word counts.
bool Evaluation::measures(Origin origin, const Scope& scope) const {
  switch (origin) {
    case Origin::clock:
      return true;
    case Origin::contact:
      return world_.last_contact.has_value();
    case Origin::event:
      return !world_.events.empty();
    case Origin::given:
      return false;
    default:
      return !world_.usage_known ||
             (scope.rule && std::ranges::find(world_.usage, scope.rule->id, &UsageEntry::rule) !=
                                world_.usage.end());
  }
}

// Measured before attested before declared. Of an entity only what is said of it; of an act that
// was done only what was recorded with it.
Evaluation::Found Evaluation::find_fact(
    const Node& node, const OperandTerm& term, const Scope& scope
) const {
  bool attested = true;
  const auto accept = [&](const Fact& fact, bool attribute) {
    const bool vouched = node.vouchers == 0 || (node.vouchers & bit_of(fact.source)) != 0;
    const bool verified = !attribute || !term.security || fact.source == Source::certificate ||
                          fact.source == Source::measured;
    if (!vouched || !verified) attested = false;
    return vouched && verified;
  };
  const auto search = [&](std::span<const Fact> facts, std::string_view entity) -> const Fact* {
    for (const auto& fact : facts) {
      if (fact.operand != term.iri || fact.entity != entity) continue;
      if (accept(fact, !entity.empty())) return &fact;
    }
    return nullptr;
  };
  const auto of_world = [&](std::string_view entity) {
    const auto* found = search(world_.facts, entity);
    return found ? found : search(world_.lasting, entity);
  };
  if (scope.performed) return {search(scope.performed->values, {}), attested};
  if (!scope.entity.empty()) return {of_world(scope.entity), attested};
  if (node.place != Place::act) {
    const auto& entity = node.place == Place::target ? request_.target : request_.assignee;
    if (const auto* measured = of_world({})) return {measured, true};
    const auto* attribute = entity.empty() ? nullptr : of_world(entity);
    // Who acts may say what it is; what the asset is, only its owner.
    if (attribute || node.place == Place::target) return {attribute, attested};
    return {search(request_.declared, {}), attested};
  }
  if (!world_.facts.empty() || !world_.lasting.empty()) {
    if (const auto* found = of_world({})) return {found, true};
    // What no vocabulary knows counts only where the enforcer measured it.
    if (node.fault == Fault::unknown_operand) return {nullptr, attested};
    if (const auto* found = of_world(request_.assignee)) return {found, true};
    if (const auto* found = of_world(request_.target)) return {found, true};
  }
  // Nor is what we measure ourselves the requester's to say.
  if (node.fault == Fault::unknown_operand || measures(term.origin, scope)) {
    return {nullptr, attested};
  }
  return {search(request_.declared, {}), attested};
}

// Types and memberships are steps of their own: isA goes by type, isPartOf by membership.
Compared Evaluation::compare_within_world(
    const OperandTerm& term,
    std::span<const Value> actual,
    Operator op,
    std::span<const Value> required
) const {
  auto out = compare(term, actual, op, required, world_.taxonomy);
  const bool by_type = op == Operator::is_a && !world_.types.empty();
  const bool by_part =
      (op == Operator::is_part_of || op == Operator::has_part) && !world_.memberships.empty();
  if (out.truth != Truth::no || (!by_type && !by_part)) return out;
  std::vector<Broader> steps(world_.taxonomy.begin(), world_.taxonomy.end());
  if (by_type) {
    for (const auto& one : world_.types) steps.push_back({one.entity, one.type});
  } else {
    for (const auto& one : world_.memberships) steps.push_back({one.member, one.part_of});
  }
  return compare(term, actual, op, required, steps);
}

Outcome Evaluation::by_fact(const Node& node, const Found& found, std::span<const Value> required)
    const {
  const auto& term = plan_.term(node);
  const auto& unit = found.fact->unit;
  const bool same_unit = node.unit == nothing ? unit.empty() : unit == name(node.unit);
  if (!same_unit) return unknown(other_doubt, "unit-mismatch");
  const bool budget = term.origin == Origin::first_use || term.origin == Origin::metered;
  const auto op = budget ? as_budget(node.op) : node.op;
  return outcome_of(compare_within_world(term, found.fact->values, op, required));
}

Outcome Evaluation::by_clock(const Node& node, std::span<const Value> required) const {
  if (!world_.clock_reliable) return unknown(clock_doubt, "clock-unreliable");
  const Value now = TimeSpan{world_.now, world_.now + 1};
  return outcome_of(compare(plan_.term(node), {&now, 1}, node.op, required, {}));
}

std::optional<Outcome> Evaluation::counted_elsewhere(const Node& node) const {
  if (node.owner == world_.here) return std::nullopt;
  // What only the provider does is no use where the other side counts; any other act would slip past
  // it.
  if (is_provider_act()) return Outcome{};
  return unknown(elsewhere_doubt, "counted-elsewhere");
}

// The custody is filled by a connector, which no application works with yet. Where the side that
// holds it confirmed nothing, nobody would ask later (LoadOptions::sole_owner).
bool Evaluation::is_left_to_custody(const Node& node, const Scope& scope) const {
  return scope.rule != nullptr && fills_custody() && node.owner == Side::consumer;
}

Outcome Evaluation::by_uses(const Node& node, const Scope& scope, std::span<const Value> required)
    const {
  if (const auto elsewhere = counted_elsewhere(node)) return *elsewhere;
  if (!world_.usage_known) return unknown(other_doubt, "state-unavailable");
  if (!scope.rule) return unknown(other_doubt, "missing-value");
  const auto* usage = usage_of(*scope.rule, node.unit_of_count);
  // What was reached before this policy, what was used under it, and this execution.
  const std::int64_t value = node.status + (usage ? usage->count : 0) + 1;
  return known(count_holds(value, node.op, required), count_failure(value, node.op, required));
}

Outcome Evaluation::by_recent_uses(
    const Node& node, const Scope& scope, std::span<const Value> required
) const {
  if (const auto elsewhere = counted_elsewhere(node)) return *elsewhere;
  if (!world_.usage_known) return unknown(other_doubt, "state-unavailable");
  if (!world_.clock_reliable) return unknown(clock_doubt, "clock-unreliable");
  const auto* rate = std::get_if<Rate>(&required.front());
  if (!scope.rule || !rate) return unknown(other_doubt, "missing-value");
  const auto* usage = usage_of(*scope.rule, node.unit_of_count);
  if (usage && usage->count > 0 && !usage->recent_uses) {
    return unknown(other_doubt, "state-unavailable");
  }
  return known(uses_within(usage, *rate) < rate->most, "limit-reached");
}

// Those that stand in the window which ends now, this execution not among them.
std::int64_t Evaluation::uses_within(const RuleUsage* usage, const Rate& rate) const {
  if (!usage || !usage->recent_uses) return 0;
  return std::ranges::count_if(*usage->recent_uses, [&](Instant at) {
    return add(at, rate.window) > world_.now;
  });
}

Evaluation::Since Evaluation::since(const Node& node, const Scope& scope) const {
  const auto origin = plan_.term(node).origin;
  if (!world_.clock_reliable) return {{}, unknown(clock_doubt, "clock-unreliable")};
  if (scope.performed) {  // of an act that was done: the time since then
    if (!scope.performed->at) return {{}, unknown(other_doubt, "missing-value")};
    return {scope.performed->at, {}};
  }
  if (origin == Origin::contact) {
    if (!world_.last_contact) return {{}, unknown(other_doubt, "missing-value")};
    return {world_.last_contact, {}};
  }
  if (!world_.usage_known) return {{}, unknown(other_doubt, "state-unavailable")};
  if (!scope.rule) return {{}, unknown(other_doubt, "missing-value")};
  const auto* usage = usage_of(*scope.rule, nothing);
  const bool used = usage && usage->count > 0;
  if (origin == Origin::first_use) {
    if (usage && usage->first_use) return {usage->first_use, {}};
    if (used) return {{}, unknown(other_doubt, "state-unavailable")};
    return {world_.now, {}};
  }
  if (usage && usage->last_use) return {usage->last_use, {}};
  if (used) return {{}, unknown(other_doubt, "state-unavailable")};
  // Nothing used yet: an interval has nothing to wait for; a delay has nothing to count from.
  if (plan_.term(node).iri == iri::time_interval) return {{}, {}};
  return {{}, unknown(other_doubt, "missing-value")};
}

// A span of real time, by the calendar: instants are compared, which always decides.
Outcome Evaluation::by_time_since(
    const Node& node, const Scope& scope, std::span<const Value> required
) const {
  const auto* span = duration_of(required);
  if (!span) return unknown(other_doubt, "type-mismatch");
  const bool interval = plan_.term(node).iri == iri::time_interval;
  const bool anchored =
      interval && plan_.anchors.contains(static_cast<Index>(&node - plan_.nodes.data()));
  if (anchored) return unknown(other_doubt, "incomparable");
  const auto begin = since(node, scope);
  if (!begin.from) return begin.outcome;
  const auto edge = add(*begin.from, *span);
  if (!interval) {
    const bool budget = plan_.term(node).origin == Origin::first_use;
    return time_against(world_.now, edge, budget ? as_budget(node.op) : node.op);
  }
  // A recurring period: the next execution waits for its end.
  if (node.op == Operator::eq || node.op == Operator::gteq) {
    return time_against(world_.now, edge, Operator::gteq);
  }
  if (node.op == Operator::gt) return time_against(world_.now, edge, Operator::gt);
  return unknown(other_doubt, "operator-mismatch");
}

Outcome Evaluation::by_meter(const Node& node, const Scope& scope, std::span<const Value> required)
    const {
  if (const auto elsewhere = counted_elsewhere(node)) return *elsewhere;
  if (!world_.usage_known) return unknown(other_doubt, "state-unavailable");
  if (!scope.rule) return unknown(other_doubt, "missing-value");
  const auto* usage = usage_of(*scope.rule, nothing);
  if (usage && usage->count > 0 && !usage->metered) {
    return unknown(other_doubt, "state-unavailable");
  }
  const Value value = usage && usage->metered ? *usage->metered : XsdDuration{};
  return outcome_of(compare(plan_.term(node), {&value, 1}, as_budget(node.op), required, {}));
}

Outcome Evaluation::by_event(const Node& node, std::span<const Value> required) const {
  if (!world_.clock_reliable) return unknown(clock_doubt, "clock-unreliable");
  bool all_ahead = true;
  bool all_over = true;
  bool during = false;
  for (const auto& value : required) {
    const auto* event = std::get_if<Name>(&value);
    if (!event) return unknown(other_doubt, "type-mismatch");
    bool found = false;
    if (event->text == iri::policy_usage) {  // the use is now
      found = during = true;
      all_ahead = all_over = false;
    }
    for (const auto& span : world_.events) {
      if (span.event != event->text) continue;
      found = true;
      const bool ahead = span.start && world_.now < *span.start;
      const bool over = span.end && world_.now >= *span.end;
      if (!span.start && !over) return unknown(other_doubt, "missing-value");
      all_ahead = all_ahead && ahead;
      all_over = all_over && over;
      during = during || (!ahead && !over);
    }
    if (!found) return unknown(other_doubt, "missing-value");
  }
  switch (node.op) {
    case Operator::lt:
      return known(all_ahead, "ended");
    case Operator::lteq:
      return known(all_ahead || during, "ended");
    case Operator::gt:
      return known(all_over, "not-yet");
    case Operator::gteq:
      return known(all_over || during, "not-yet");
    case Operator::eq:
    case Operator::is_any_of:
      return known(during, all_over ? "ended" : "not-yet");
    case Operator::neq:
    case Operator::is_none_of:
      return known(!during, "not-permitted-value");
    default:
      return unknown(other_doubt, "operator-mismatch");
  }
}

Outcome Evaluation::satisfy_atom(const Node& node, const Scope& scope) const {
  if (node.fault == Fault::unknown_operator) return unknown(other_doubt, "unknown-operator");
  if (node.fault == Fault::operator_mismatch) return unknown(other_doubt, "operator-mismatch");
  const auto required = required_values(node);
  if (!required || required->empty()) return unknown(other_doubt, "reference-unresolved");
  const auto& term = plan_.term(node);
  if (term.origin == Origin::clock && scope.entity.empty() && world_.facts.empty() &&
      world_.lasting.empty()) {
    return by_clock(node, *required);
  }
  const auto found = find_fact(node, term, scope);
  if (found.fact) return by_fact(node, found, *required);
  if (term.of_custody && found.attested && is_left_to_custody(node, scope)) {
    // What permits it is asked again with each use of what is held, and what prohibits it too.
    return known(scope.rule->kind == RuleKind::permission, "not-permitted-value");
  }
  if (!found.attested) return unknown(other_doubt, "not-attested");
  if (node.fault == Fault::unknown_operand) return unknown(other_doubt, "unknown-left-operand");
  if (!scope.entity.empty()) return unknown(other_doubt, "missing-value");
  // What is measured here is vouched for by us.
  const bool ours = node.vouchers == 0 || (node.vouchers & bit_of(Source::measured)) != 0;
  if (!ours && term.origin != Origin::given) return unknown(other_doubt, "not-attested");
  switch (term.origin) {
    case Origin::clock:
      return by_clock(node, *required);
    case Origin::uses:
      return by_uses(node, scope, *required);
    case Origin::recent_uses:
      return by_recent_uses(node, scope, *required);
    case Origin::first_use:
    case Origin::last_use:
    case Origin::contact:
      return by_time_since(node, scope, *required);
    case Origin::metered:
      return by_meter(node, scope, *required);
    case Origin::event:
      return by_event(node, *required);
    case Origin::given:
      break;
  }
  return unknown(other_doubt, "missing-value");
}

Outcome Evaluation::satisfy_all(Range nodes, const Scope& scope) const {
  Outcome out;
  for (const auto index : plan_.children_of(nodes)) {
    const auto one = satisfy(plan_.node(index), scope);
    out.truth = both(out.truth, one.truth);
    out.doubt |= one.doubt;
    // One that fails decides; reports ask each by itself.
    if (out.truth == Truth::no) break;
  }
  if (out.truth != Truth::unknown) out.doubt = no_doubt;
  return out;
}

Outcome Evaluation::satisfy(const Node& node, const Scope& scope) const {
  if (node.kind == NodeKind::atom) return satisfy_atom(node, scope);
  Outcome out;
  if (node.kind == NodeKind::all || node.kind == NodeKind::sequence) {
    out = satisfy_all(node.inner, scope);
  } else {
    Index holds = 0;
    Index fails = 0;
    for (const auto index : plan_.children_of(node.inner)) {
      const auto one = satisfy(plan_.node(index), scope);
      holds += one.truth == Truth::yes ? 1U : 0U;
      fails += one.truth == Truth::no ? 1U : 0U;
      out.doubt |= one.doubt;
      if (holds > (node.kind == NodeKind::any ? 0U : 1U)) break;  // decided
    }
    const auto all = node.inner.count;
    if (node.kind == NodeKind::any) {
      out.truth = holds > 0 ? Truth::yes : fails == all ? Truth::no : Truth::unknown;
    } else if (holds > 1 || fails == all) {
      out.truth = Truth::no;
    } else {
      out.truth = holds == 1 && fails == all - 1 ? Truth::yes : Truth::unknown;
    }
    if (out.truth != Truth::unknown) out.doubt = no_doubt;
  }
  out.because = out.truth == Truth::yes  ? "satisfied"
                : out.truth == Truth::no ? "not-satisfied"
                                         : "undecidable";
  return out;
}

void Evaluation::next_change(Range nodes, const Scope& scope, std::optional<Instant>& at) const {
  for (const auto index : plan_.children_of(nodes)) {
    const auto& node = plan_.node(index);
    if (node.kind != NodeKind::atom) {
      next_change(node.inner, scope, at);
      continue;
    }
    const auto required = required_values(node);
    if (node.fault != Fault::none || !required || required->empty()) continue;
    const auto origin = plan_.term(node).origin;
    if (origin == Origin::clock) {
      const bool start = node.op != Operator::lteq && node.op != Operator::gt;
      const bool end = node.op != Operator::lt && node.op != Operator::gteq;
      for (const auto& value : *required) {
        const auto* span = std::get_if<TimeSpan>(&value);
        if (span && start) soonest(span->start, at);
        if (span && end) soonest(span->end, at);
      }
    } else if (origin == Origin::first_use || origin == Origin::contact) {
      const auto begin = since(node, scope);
      const auto* span = duration_of(*required);
      if (!begin.from || !span) continue;
      const auto edge = add(*begin.from, *span);
      const bool after =
          node.op == Operator::lteq || node.op == Operator::gt || node.op == Operator::eq;
      soonest(after ? edge + 1 : edge, at);
      if (node.op == Operator::neq) soonest(edge + 1, at);
    } else if (origin == Origin::metered && scope.rule && node.owner == world_.here) {
      // If nothing else is used meanwhile.
      const auto* limit = duration_of(*required);
      const auto* usage = usage_of(*scope.rule, nothing);
      if (!limit) continue;
      const auto spent = usage && usage->metered ? usage->metered->seconds : 0;
      auto edge = add(world_.now, *limit);
      edge.seconds -= spent;
      soonest(edge + 1, at);
    } else if (origin == Origin::event) {
      for (const auto& span : world_.events) {
        if (span.start) soonest(*span.start, at);
        if (span.end) soonest(*span.end, at);
      }
    }
  }
}

}  // namespace tally::odrl
