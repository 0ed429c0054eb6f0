#include "imply.hpp"

#include <algorithm>
#include <compare>

namespace tally::odrl {

bool lists_what_is_meant(Operator op) {
  return op == Operator::eq || op == Operator::is_any_of;
}
namespace {

bool lists_what_is_not_meant(Operator op) {
  return op == Operator::neq || op == Operator::is_none_of;
}
bool below(Operator op) {
  return op == Operator::is_a || op == Operator::is_part_of;
}
bool bounds_above(Operator op) {
  return op == Operator::lt || op == Operator::lteq;
}
bool bounds_below(Operator op) {
  return op == Operator::gt || op == Operator::gteq;
}

bool subset(std::span<const Value> inner, std::span<const Value> outer) {
  return std::ranges::all_of(inner, [&](const Value& one) {
    return std::ranges::find(outer, one) != outer.end();
  });
}
bool disjoint(std::span<const Value> a, std::span<const Value> b) {
  return std::ranges::none_of(a, [&](const Value& one) {
    return std::ranges::find(b, one) != b.end();
  });
}

bool is_counted(const Term& one) {
  const auto origin = one.term().origin;
  return origin == Origin::uses || origin == Origin::recent_uses;
}

// What the two are about is measured in one way, and understood.
bool same_measure(const Term& a, const Term& b) {
  const auto& x = a.node();
  const auto& y = b.node();
  return a.term().iri == b.term().iri && a.name(x.unit) == b.name(y.unit) &&
         a.name(x.reference) == b.name(y.reference) &&
         a.name(x.unit_of_count) == b.name(y.unit_of_count) && x.status == y.status &&
         x.fault == Fault::none && y.fault == Fault::none &&
         (!is_counted(a) || x.owner == y.owner) &&
         // Fewer vouchers are a stricter demand.
         (y.vouchers == 0 || (x.vouchers != 0 && (x.vouchers & ~y.vouchers) == 0));
}

bool equal(const Term& a, const Term& b) {
  if (a.node().kind != b.node().kind) return false;
  if (a.node().kind == NodeKind::atom) {
    return same_measure(a, b) && a.node().op == b.node().op &&
           std::ranges::equal(a.values(), b.values());
  }
  return std::ranges::equal(a.children(), b.children(), equal);
}

// The first instant that is too late, and the first that is not too early.
struct Bounds {
  std::optional<Instant> from, until;
};
Bounds bounds_of(const Term& one) {
  Bounds out;
  for (const auto& value : one.values()) {
    const auto* span = std::get_if<TimeSpan>(&value);
    if (!span) continue;
    const auto op = one.node().op;
    if (op == Operator::lt) out.until = span->start;
    if (op == Operator::lteq) out.until = span->end;
    if (op == Operator::gt) out.from = span->end;
    if (op == Operator::gteq) out.from = span->start;
    if (lists_what_is_meant(op)) {
      if (!out.from || span->start < *out.from) out.from = span->start;
      if (!out.until || span->end > *out.until) out.until = span->end;
    }
  }
  return out;
}

bool time_implies(const Term& a, const Term& b) {
  if (!orders(b.node().op) && b.node().op != Operator::eq) return false;
  const auto inner = bounds_of(a);
  const auto outer = bounds_of(b);
  return (!outer.until || (inner.until && *inner.until <= *outer.until)) &&
         (!outer.from || (inner.from && *inner.from >= *outer.from));
}

std::optional<std::strong_ordering> order(const Value& a, const Value& b) {
  if (const auto* x = std::get_if<Decimal>(&a)) {
    const auto* y = std::get_if<Decimal>(&b);
    if (y) return compare(*x, *y);
  }
  if (const auto* x = std::get_if<XsdDuration>(&a)) {
    const auto* y = std::get_if<XsdDuration>(&b);
    if (y) return compare(*x, *y);
  }
  return std::nullopt;
}

// Numbers and durations, by one bound. A list of a is within a bound when all of it is.
bool bound_implies(const Term& a, const Term& b) {
  const auto within = [&](const Value& one) {
    const auto known = order(one, b.values().front());
    if (!known) return false;
    switch (b.node().op) {
      case Operator::lt:
        return std::is_lt(*known);
      case Operator::lteq:
        return std::is_lteq(*known);
      case Operator::gt:
        return std::is_gt(*known);
      case Operator::gteq:
        return std::is_gteq(*known);
      default:
        return false;
    }
  };
  if (lists_what_is_meant(a.node().op)) return std::ranges::all_of(a.values(), within);
  const bool same_way = (bounds_above(a.node().op) && bounds_above(b.node().op)) ||
                        (bounds_below(a.node().op) && bounds_below(b.node().op));
  const auto known = order(a.values().front(), b.values().front());
  if (!same_way || !known) return false;
  const bool strict = a.node().op == Operator::lt || a.node().op == Operator::gt;
  if (std::is_eq(*known)) return a.node().op == b.node().op || strict;
  if (bounds_above(b.node().op) ? std::is_lt(*known) : std::is_gt(*known)) return true;
  // Uses are whole: less than four is at most three.
  const auto* x = std::get_if<Decimal>(&a.values().front());
  const auto* y = std::get_if<Decimal>(&b.values().front());
  if (a.term().kind != ValueKind::integer || !x || !y) return false;
  const auto first = integral(*x).value_or(0);
  const auto second = integral(*y).value_or(0);
  return (a.node().op == Operator::lt && b.node().op == Operator::lteq && first - 1 <= second) ||
         (a.node().op == Operator::gt && b.node().op == Operator::gteq && first + 1 >= second);
}

// Names, and every list of values.
bool list_implies(const Term& a, const Term& b) {
  const auto op = a.node().op;
  const auto wanted = b.node().op;
  if (lists_what_is_meant(op)) {
    if (lists_what_is_not_meant(wanted)) return disjoint(a.values(), b.values());
    return (lists_what_is_meant(wanted) || below(wanted)) && subset(a.values(), b.values());
  }
  if (lists_what_is_not_meant(op)) {
    return lists_what_is_not_meant(wanted) && subset(b.values(), a.values());
  }
  if (below(op) && op == wanted) return subset(a.values(), b.values());
  return op == Operator::is_all_of && wanted == Operator::is_all_of &&
         subset(b.values(), a.values());
}

bool atom_implies(const Term& a, const Term& b) {
  if (!same_measure(a, b)) return false;
  if (equal(a, b)) return true;
  if (a.node().reference != nothing) return false;
  // A budget written as eq is read as at most; its relation to others is left to equality.
  const auto origin = a.term().origin;
  const bool budget = origin == Origin::first_use || origin == Origin::metered;
  switch (a.term().kind) {
    case ValueKind::instant:
      return time_implies(a, b);
    case ValueKind::duration:
      if (budget && (a.node().op == Operator::eq || b.node().op == Operator::eq)) return false;
      return bound_implies(a, b);
    case ValueKind::integer:
    case ValueKind::decimal:
      return bound_implies(a, b) || list_implies(a, b);
    case ValueKind::name:
    case ValueKind::language:
    case ValueKind::network:
    case ValueKind::any:
      return list_implies(a, b);
    case ValueKind::rate:
    case ValueKind::no_compare:
      return false;
  }
  return false;
}

bool is_and(const Term& one) {
  return one.node().kind == NodeKind::all;
}
bool is_or(const Term& one) {
  return one.node().kind == NodeKind::any;
}

}  // namespace

bool implies(const Term& a, const Term& b) {
  if (equal(a, b)) return true;
  const auto any = [](const auto& terms, auto&& test) { return std::ranges::any_of(terms, test); };
  const auto all = [](const auto& terms, auto&& test) { return std::ranges::all_of(terms, test); };
  if (is_and(b)) return all(b.children(), [&](const Term& one) { return implies(a, one); });
  if (is_or(a)) return all(a.children(), [&](const Term& one) { return implies(one, b); });
  if (is_and(a) && any(a.children(), [&](const Term& one) { return implies(one, b); })) return true;
  if (is_or(b)) return any(b.children(), [&](const Term& one) { return implies(a, one); });
  return a.node().kind == NodeKind::atom && b.node().kind == NodeKind::atom && atom_implies(a, b);
}

namespace {

// The constraints that all have to hold, with `and` opened up.
void flatten(const Plan& plan, Range nodes, std::vector<Term>& out) {
  for (const auto index : plan.children_of(nodes)) {
    const Term one{&plan, index};
    if (is_and(one)) {
      flatten(plan, one.node().inner, out);
    } else {
      out.push_back(one);
    }
  }
}

}  // namespace

std::vector<Term> flat(const Plan& plan, Range nodes) {
  std::vector<Term> out;
  flatten(plan, nodes, out);
  return out;
}

std::vector<Term> conditions_of(const Plan& plan, const Rule& rule) {
  auto out = flat(plan, rule.constraints);
  flatten(plan, rule.target_attributes, out);
  flatten(plan, rule.assignee_attributes, out);
  return out;
}

bool held_by(const std::vector<Term>& terms, const Term& wanted) {
  return std::ranges::any_of(terms, [&](const Term& one) { return implies(one, wanted); });
}

bool keeps_all(const std::vector<Term>& have, const std::vector<Term>& need) {
  return std::ranges::all_of(need, [&](const Term& one) { return held_by(have, one); });
}
bool keeps_all(const Plan& plan, Range found, const Plan& other, Range wanted) {
  return keeps_all(flat(plan, found), flat(other, wanted));
}

std::string text_of(const Term& one) {
  const auto& node = one.node();
  if (node.kind == NodeKind::atom) {
    std::string out(operator_word(node.op));
    out += ' ';
    out += one.text();
    if (is_counted(one)) {
      out += " (";
      out += to_string(node.owner);
      out += ')';
    }
    return out;
  }
  std::string out = node.kind == NodeKind::all   ? "and("
                    : node.kind == NodeKind::any ? "or("
                    : node.kind == NodeKind::one ? "xone("
                                                 : "andSequence(";
  bool first = true;
  for (const auto& inner : one.children()) {
    if (!first) out += ", ";
    first = false;
    if (inner.node().kind == NodeKind::atom) {
      out += local_name(inner.term().iri);
      out += ' ';
    }
    out += text_of(inner);
  }
  return out + ")";
}

// --- duties ---

std::string duty_text(const Plan& plan, const Duty& duty) {
  std::string out(local_name(plan.names[duty.action.name]));
  if (duty.phase != Phase::after) return out;
  switch (duty.deadline) {
    case DeadlineKind::at_instant:
    case DeadlineKind::when_expired:
      return out + " lteq " + format_micros(*duty.at);
    case DeadlineKind::after_use:
      return out + " lteq " + format_duration(duty.after);
    case DeadlineKind::at_once:
      break;
  }
  return out;
}

namespace {

// Of two duties of one phase: unknown when nobody can tell which is due first.
Truth due_no_later(const Duty& ours, const Duty& theirs) {
  if (ours.deadline == DeadlineKind::at_once) return Truth::yes;
  if (theirs.deadline == DeadlineKind::at_once) return Truth::no;
  if (ours.at && theirs.at) return *ours.at <= *theirs.at ? Truth::yes : Truth::no;
  if (ours.deadline != DeadlineKind::after_use || theirs.deadline != DeadlineKind::after_use) {
    return Truth::unknown;
  }
  const auto order = compare(ours.after, theirs.after);
  if (!order) return Truth::unknown;
  return std::is_lteq(*order) ? Truth::yes : Truth::no;
}

// How it is done. What a condition says of its act is a refinement of it; what the enforcer does
// itself it does with parameters.
Truth done_alike(const Plan& in, const Duty& ours, const Plan& out, const Duty& theirs) {
  const auto have = flat(in, ours.action.refinements);
  const auto need = flat(out, theirs.action.refinements);
  if (!keeps_all(have, need)) return keeps_all(need, have) ? Truth::no : Truth::unknown;
  if (ours.condition) return Truth::yes;
  const auto same = std::ranges::is_permutation(
      ours.parameters,
      theirs.parameters,
      [&](const Parameter& one, const Parameter& two) {
        return in.names[one.operand] == out.names[two.operand] && one.op == two.op &&
               std::ranges::equal(in.values_of(one.values), out.values_of(two.values));
      }
  );
  return same ? Truth::yes : Truth::unknown;
}

}  // namespace

Truth keeps(const Plan& in, const Duty& ours, const Plan& out, const Duty& theirs) {
  // By name, so that an act nobody knows is still the same as itself.
  const bool same_act = in.names[ours.action.name] == out.names[theirs.action.name] &&
                        ours.phase == theirs.phase && ours.parties == theirs.parties;
  if (!same_act) return Truth::no;
  auto kept = std::min(due_no_later(ours, theirs), done_alike(in, ours, out, theirs));
  if (!keeps_all(out, theirs.constraints, in, ours.constraints)) {
    kept = std::min(kept, Truth::unknown);
  }
  for (const auto wanted : theirs.consequences) {
    auto found = Truth::no;
    for (const auto index : ours.consequences) {
      found = std::max(found, keeps(in, in.duties[index], out, out.duties[wanted]));
    }
    kept = std::min(kept, found);
  }
  return kept;
}

}  // namespace tally::odrl
