#include "compare_space.hpp"

#include <algorithm>
#include <numeric>

namespace tally::odrl {
namespace {

constexpr std::string_view spatial_axis = "http://w3id.org/odrl/spatial-axis#absoluteSize";
constexpr std::int64_t seconds_per_day = 86400;
constexpr std::int64_t longest_period = 40'000;  // days; beyond it nobody means a calendar
constexpr std::int64_t longest_common = 1'000'000'000'000;  // of several: no arithmetic overflows
constexpr std::size_t most_periodic = 16;

Truth negated(Truth one) {
  return one == Truth::yes ? Truth::no : one == Truth::no ? Truth::yes : Truth::unknown;
}
Truth both(Truth a, Truth b) {
  return std::min(a, b);
}
Truth either(Truth a, Truth b) {
  return std::max(a, b);
}
Truth known(bool truth) {
  return truth ? Truth::yes : Truth::no;
}

Value instant(Instant at) {
  return TimeSpan{at, at + 1};
}

// nullopt: no order between them.
std::optional<std::strong_ordering> order(const Value& a, const Value& b) {
  if (a.index() != b.index()) return std::nullopt;
  if (const auto* one = std::get_if<Decimal>(&a)) return compare(*one, std::get<Decimal>(b));
  if (const auto* one = std::get_if<XsdDuration>(&a)) {
    return compare(*one, std::get<XsdDuration>(b));
  }
  if (const auto* one = std::get_if<TimeSpan>(&a)) {
    return one->start <=> std::get<TimeSpan>(b).start;
  }
  return std::nullopt;
}

// Ascending, each once. False when some pair has no order.
bool sort_all(std::vector<Value>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t j = i + 1; j < values.size(); ++j) {
      if (!order(values[i], values[j])) return false;
    }
    // Pairs are looked at whole for few constants only; with many of one simple sort it is clear.
    if (values.size() > 256) break;
  }
  std::ranges::sort(values, [](const Value& a, const Value& b) {
    const auto known_order = order(a, b);
    return known_order && std::is_lt(*known_order);
  });
  const auto rest = std::ranges::unique(values, [](const Value& a, const Value& b) {
    const auto known_order = order(a, b);
    return known_order && std::is_eq(*known_order);
  });
  values.erase(rest.begin(), rest.end());
  return true;
}

// The rank of a constant.
std::int64_t rank_of(const std::vector<Value>& constants, const Value& value) {
  const auto at = std::ranges::lower_bound(constants, value, [](const Value& a, const Value& b) {
    const auto known_order = order(a, b);
    return known_order && std::is_lt(*known_order);
  });
  return 2 * (at - constants.begin()) + 1;
}

bool is_ordered(ValueKind kind) {
  return kind == ValueKind::instant || kind == ValueKind::duration || kind == ValueKind::integer ||
         kind == ValueKind::decimal;
}
bool is_named(ValueKind kind) {
  return kind == ValueKind::name || kind == ValueKind::language || kind == ValueKind::network;
}

std::optional<std::int64_t> whole_days(const XsdDuration& span) {
  if (span.months != 0 || span.nanos != 0 || span.seconds % seconds_per_day != 0) {
    return std::nullopt;
  }
  return span.seconds / seconds_per_day;
}

// anchor + k · period, k ≥ 0, in days.
struct Periodic {
  std::int64_t anchor = 0;
  std::int64_t period = 0;
  [[nodiscard]] bool holds(std::int64_t day) const {
    return day >= anchor && (day - anchor) % period == 0;
  }
};

std::optional<Periodic> periodic_of(const Plan& plan, Index index) {
  const auto found = plan.anchors.find(index);
  const auto values = plan.values_of(plan.node(index).inner);
  if (found == plan.anchors.end() || values.size() != 1) return std::nullopt;
  const auto* span = std::get_if<XsdDuration>(&values.front());
  const auto* anchor = std::get_if<TimeSpan>(&found->second);
  const auto period = span ? whole_days(*span) : std::nullopt;
  if (!period || *period <= 0 || *period > longest_period || !anchor ||
      anchor->start.seconds % seconds_per_day != 0) {
    return std::nullopt;
  }
  return Periodic{anchor->start.seconds / seconds_per_day, *period};
}

// The inverse of `a` modulo `m`, which have no common factor.
std::int64_t inverse(std::int64_t a, std::int64_t m) {
  std::int64_t low = m;
  std::int64_t high = a % m;
  std::int64_t before = 0;
  std::int64_t now = 1;
  while (high > 1) {
    const auto times = low / high;
    low -= times * high;
    before -= times * now;
    std::swap(low, high);
    std::swap(before, now);
  }
  return m == 1 ? 0 : (now % m + m) % m;
}

// Where two meet: nothing when their anchors do not differ by a multiple of the gcd of the periods.
std::optional<Periodic> meet(const Periodic& a, const Periodic& b) {
  const auto gcd = std::gcd(a.period, b.period);
  const auto apart = b.anchor - a.anchor;
  if (apart % gcd != 0) return std::nullopt;
  const auto modulus = b.period / gcd;
  const auto lcm = a.period * modulus;
  const auto steps =
      ((apart / gcd) % modulus + modulus) % modulus * inverse(a.period / gcd, modulus) % modulus;
  auto day = a.anchor + a.period * steps;
  const auto first = std::max(a.anchor, b.anchor);
  if (day < first) day += (first - day + lcm - 1) / lcm * lcm;
  return Periodic{day, lcm};
}

}  // namespace

const Axis* Space::find(std::string_view operand) const {
  for (const auto& axis : axes_) {
    if (axis.operand == operand) return &axis;
  }
  return nullptr;
}

void Space::add(const Plan& plan, Range nodes, const std::string& of) {
  for (const auto index : plan.children_of(nodes)) add_node(plan, index, of);
}

// Steps one after the other take at least their sum.
void Space::add_sequence_sum(const Plan& plan, const Node& node) {
  XsdDuration sum;
  for (const auto index : plan.children_of(node.inner)) {
    const auto& step = plan.node(index);
    if (step.kind != NodeKind::atom || plan.term(step).iri != iri::delay_period) continue;
    for (const auto& value : plan.values_of(step.inner)) {
      if (const auto* span = std::get_if<XsdDuration>(&value)) {
        sum.months += span->months;
        sum.seconds += span->seconds;
        sum.nanos += span->nanos;
      }
    }
  }
  durations_.emplace_back(sum);
}

void Space::add_node(const Plan& plan, Index index, const std::string& of) {
  // What is not laid out is unknown.
  if (!budget_.spend(8)) return;
  const auto& node = plan.node(index);
  if (node.kind != NodeKind::atom) {
    if (node.kind == NodeKind::sequence) add_sequence_sum(plan, node);
    for (const auto inner : plan.children_of(node.inner)) add_node(plan, inner, of);
    return;
  }
  const auto& term = plan.term(node);
  // An attribute is the same whether it was written as a refinement or among the constraints.
  auto key = node.place == Place::target     ? std::string("target")
             : node.place == Place::assignee ? std::string("assignee")
                                             : of;
  key += "|" + std::string(term.iri);
  // What one side counts is not what the other side counts.
  if (term.origin == Origin::uses) key += "|" + std::string(to_string(node.owner));
  uses_[key].push_back({&plan, index});
  for (const auto& value : plan.values_of(node.inner)) {
    if (std::holds_alternative<XsdDuration>(value)) durations_.push_back(value);
  }
}

// What no value of the operand is beyond.
void Space::add_bounds(Axis& axis, std::int64_t& lowest, std::int64_t& highest) {
  const auto& term = axis.term;
  const bool size = term.iri.starts_with(spatial_axis);
  const bool share = term.iri == "http://www.w3.org/ns/odrl/2/percentage";
  const bool amount = term.iri == "http://www.w3.org/ns/odrl/2/payAmount";
  std::optional<Value> least;
  if (term.kind == ValueKind::duration) least = XsdDuration{};
  if (size || share || amount) least = decimal(0);
  if (term.origin == Origin::uses) least = decimal(1);
  if (least) axis.constants.push_back(*least);
  if (share) axis.constants.emplace_back(decimal(100));
  if (!sort_all(axis.constants)) {
    axis.kind = Axis::Kind::undecidable;
    return;
  }
  if (least) lowest = rank_of(axis.constants, *least) + (size ? 1 : 0);
  if (share) highest = rank_of(axis.constants, decimal(100));
}

void Space::build_ordered(Axis& axis, const std::vector<Use>& uses) {
  axis.kind = Axis::Kind::ordered;
  for (const auto& use : uses) {
    for (const auto& value : use.plan->values_of(use.plan->node(use.node).inner)) {
      if (const auto* span = std::get_if<TimeSpan>(&value)) {
        axis.constants.push_back(instant(span->start));
        if (span->end - span->start > 1) axis.constants.push_back(instant(span->end));
      } else {
        axis.constants.push_back(value);
      }
    }
  }
  if (axis.term.kind == ValueKind::duration) axis.constants = durations_;
  if (axis.term.kind == ValueKind::duration && !durations_ordered_) {
    axis.kind = Axis::Kind::undecidable;
    return;
  }
  std::int64_t lowest = 0;
  std::int64_t highest = 0;
  add_bounds(axis, lowest, highest);
  if (axis.kind == Axis::Kind::undecidable) return;
  if (highest == 0) highest = 2 * static_cast<std::int64_t>(axis.constants.size());
  const bool counted = axis.term.kind == ValueKind::integer;
  for (auto rank = lowest; rank <= highest; ++rank) {
    const auto gap = static_cast<std::size_t>(rank / 2);
    const bool inner = rank % 2 == 0 && gap > 0 && gap < axis.constants.size();
    if (counted && inner) {
      // No whole number lies between neighbours.
      const auto a = integral(std::get<Decimal>(axis.constants[gap - 1]));
      const auto b = integral(std::get<Decimal>(axis.constants[gap]));
      if (a && b && *b - *a <= 1) continue;
    }
    axis.candidates.push_back(rank);
  }
}

void Space::build_names(Axis& axis) {
  axis.kind = Axis::Kind::names;
  std::vector<std::string> named;
  const auto name = [&](const std::string& one) {
    if (std::ranges::find(named, one) == named.end()) named.push_back(one);
  };
  for (const auto& value : axis.constants) name(std::get<Name>(value).text);
  const auto constants = named;
  // Of the taxonomy only what the policies' own words reach, up or down.
  for (const auto& step : facts_.taxonomy) {
    for (const auto& constant : constants) {
      if (within(axis, step.narrower, constant)) name(step.narrower);
      if (within(axis, constant, step.broader)) name(step.broader);
    }
  }
  for (auto& one : named) axis.names.push_back({one, false});
  for (const auto& one : constants) axis.names.push_back({one, true});
  axis.names.push_back({"", true});
  axis.candidates.resize(axis.names.size());
  std::iota(axis.candidates.begin(), axis.candidates.end(), 0);
}

void Space::build_periodic(Axis& axis, const std::vector<Use>& uses) {
  axis.kind = Axis::Kind::periodic;
  std::vector<Periodic> sets;
  for (const auto& use : uses) {
    const auto set = periodic_of(*use.plan, use.node);
    if (!set) {
      axis.kind = Axis::Kind::undecidable;
      return;
    }
    sets.push_back(*set);
    axis.candidates.push_back(set->anchor);
    axis.candidates.push_back(set->anchor - 1);
  }
  if (sets.size() > most_periodic) {
    axis.kind = Axis::Kind::undecidable;
    return;
  }
  // Where two meet, and where all do.
  std::optional<Periodic> all = sets.front();
  for (const auto& one : sets) {
    for (const auto& other : sets) {
      if (const auto common = meet(one, other)) axis.candidates.push_back(common->anchor);
    }
    all = all ? meet(*all, one) : std::nullopt;
    if (all && all->period > longest_common) {
      axis.kind = Axis::Kind::undecidable;
      return;
    }
  }
  if (all) axis.candidates.push_back(all->anchor);
}

void Space::build_axis(Axis& axis, const std::vector<Use>& uses) {
  const auto& first = uses.front();
  axis.term = first.plan->term(first.plan->node(first.node));
  axis.operand = axis.term.iri;
  bool anchored = false;
  std::optional<std::string> unit;
  for (const auto& use : uses) {
    const auto& node = use.plan->node(use.node);
    anchored = anchored || use.plan->anchors.contains(use.node);
    const auto ours = node.unit == nothing ? std::string() : use.plan->names[node.unit];
    const bool same_unit = !unit || *unit == ours;
    unit = ours;
    // What is not understood, resolved or of one sort cannot be decided.
    const auto values = use.plan->values_of(node.inner);
    const bool good = node.fault == Fault::none && node.reference == nothing && same_unit &&
                      node.status == 0 && !values.empty();
    if (!good || axis.term.kind == ValueKind::no_compare) return;
    for (const auto& value : values) {
      if (!axis.constants.empty() && axis.constants.front().index() != value.index()) return;
      axis.constants.push_back(value);
    }
  }
  if (anchored) {
    build_periodic(axis, uses);
  } else if (is_ordered(axis.term.kind)) {
    axis.constants.clear();
    build_ordered(axis, uses);
  } else if (is_named(axis.term.kind)) {
    build_names(axis);
  } else {
    axis.kind = Axis::Kind::equality;
    for (std::size_t i = 0; i <= axis.constants.size(); ++i) {
      axis.candidates.push_back(static_cast<std::int64_t>(i));
    }
  }
}

void Space::build() {
  // Too much to lay out is too much to search.
  if (!budget_.spend(4 * uses_.size())) return;
  durations_ordered_ = sort_all(durations_);
  for (const auto& [key, uses] : uses_) {
    Axis axis;
    build_axis(axis, uses);
    for (const auto& use : uses) axis_of_[{use.plan, use.node}] = axes_.size();
    axes_.push_back(std::move(axis));
  }
}

bool Space::within(const Axis& axis, const std::string& a, const std::string& b) const {
  if (is_within(facts_.taxonomy, a, b)) return true;
  if (axis.term.kind != ValueKind::language && axis.term.kind != ValueKind::network) return false;
  const Value narrow = Name{a};
  const Value broad = Name{b};
  return compare(axis.term, {&narrow, 1}, Operator::is_part_of, {&broad, 1}, {}).truth ==
         Truth::yes;
}

// Stated, or entailed: below things that are.
bool Space::disjoint(const std::string& a, const std::string& b) const {
  const auto& taxonomy = facts_.taxonomy;
  if (is_within(taxonomy, a, b) || is_within(taxonomy, b, a)) return false;
  if (facts_.closed_world) return true;
  return std::ranges::any_of(facts_.disjoint, [&](const auto& pair) {
    if (pair.second.empty() && pair.first.ends_with('*')) {
      const auto prefix = std::string_view(pair.first).substr(0, pair.first.size() - 1);
      return a.starts_with(prefix) && b.starts_with(prefix);
    }
    return (is_within(taxonomy, a, pair.first) && is_within(taxonomy, b, pair.second)) ||
           (is_within(taxonomy, b, pair.first) && is_within(taxonomy, a, pair.second));
  });
}

Truth Space::is_same(const Axis::Concept& at, const std::string& name) const {
  if (at.fresh) return Truth::no;
  if (at.name == name) return Truth::yes;
  return disjoint(at.name, name) || is_within(facts_.taxonomy, at.name, name) ||
                 is_within(facts_.taxonomy, name, at.name)
             ? Truth::no
             : Truth::unknown;
}

Truth Space::is_below(const Axis::Concept& at, const std::string& name) const {
  if (at.name.empty()) return Truth::no;
  if (is_within(facts_.taxonomy, at.name, name)) return Truth::yes;
  return disjoint(at.name, name) ? Truth::no : Truth::unknown;
}

Truth Space::name_truth(
    const Axis& axis, const Node& node, std::span<const Value> required, const Axis::Concept& at
) const {
  const auto of_one = [&](const Value& value) {
    const auto& name = std::get<Name>(value).text;
    switch (node.op) {
      case Operator::is_a:
      case Operator::is_part_of:
        return within(axis, at.name, name) && !at.name.empty() ? Truth::yes : is_below(at, name);
      case Operator::has_part:
        if (at.fresh) return Truth::no;
        if (within(axis, name, at.name)) return Truth::yes;
        return disjoint(at.name, name) ? Truth::no : Truth::unknown;
      case Operator::eq:
      case Operator::neq:
      case Operator::is_any_of:
      case Operator::is_none_of:
      case Operator::is_all_of:
        return is_same(at, name);
      default:
        return Truth::unknown;  // an order of levels is the world's to tell
    }
  };
  const bool all = node.op == Operator::has_part || node.op == Operator::is_all_of;
  auto out = all ? Truth::yes : Truth::no;
  for (const auto& value : required) {
    out = all ? both(out, of_one(value)) : either(out, of_one(value));
  }
  if (orders(node.op)) return Truth::unknown;
  const bool none = node.op == Operator::neq || node.op == Operator::is_none_of;
  return none ? negated(out) : out;
}

Truth Space::ordered_truth(
    const Axis& axis, const Node& node, std::span<const Value> required, std::int64_t rank
) const {
  const auto of_one = [&](const Value& value, Operator op) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    bool interval = false;
    if (const auto* span = std::get_if<TimeSpan>(&value)) {
      low = rank_of(axis.constants, instant(span->start));
      interval = span->end - span->start > 1;
      high = interval ? rank_of(axis.constants, instant(span->end)) : low;
    } else {
      low = high = rank_of(axis.constants, value);
    }
    switch (op) {
      case Operator::lt:
        return rank < low;
      case Operator::lteq:
        return interval ? rank < high : rank <= low;
      case Operator::gt:
        return interval ? rank >= high : rank > low;
      case Operator::gteq:
        return rank >= low;
      default:
        return interval ? rank >= low && rank < high : rank == low;
    }
  };
  const auto equal = [&](const Value& value) { return of_one(value, Operator::eq); };
  switch (node.op) {
    case Operator::eq:
    case Operator::is_any_of:
      return known(std::ranges::any_of(required, equal));
    case Operator::neq:
    case Operator::is_none_of:
      return known(std::ranges::none_of(required, equal));
    case Operator::is_all_of:
      return known(std::ranges::all_of(required, equal));
    default:
      return known(of_one(required.front(), node.op));
  }
}

Truth Space::atom_truth(const Plan& plan, Index index, const State& state) const {
  const auto found = axis_of_.find({&plan, index});
  if (found == axis_of_.end()) return Truth::unknown;
  const auto& axis = axes_[found->second];
  const auto chosen = state[found->second];
  if (axis.kind == Axis::Kind::undecidable || chosen < 0) return Truth::unknown;
  const auto candidate = axis.candidates[static_cast<std::size_t>(chosen)];
  const auto& node = plan.node(index);
  const auto required = plan.values_of(node.inner);
  switch (axis.kind) {
    case Axis::Kind::ordered:
      return ordered_truth(axis, node, required, candidate);
    case Axis::Kind::names:
      return name_truth(axis, node, required, axis.names[static_cast<std::size_t>(candidate)]);
    case Axis::Kind::periodic:
      return node.op == Operator::eq ? known(periodic_of(plan, index)->holds(candidate))
                                     : Truth::unknown;
    default:
      break;
  }
  // Equality only.
  const auto position = static_cast<std::size_t>(candidate);
  const bool listed = position < axis.constants.size() &&
                      std::ranges::find(required, axis.constants[position]) != required.end();
  if (node.op == Operator::eq || node.op == Operator::is_any_of) return known(listed);
  if (node.op == Operator::neq || node.op == Operator::is_none_of) return known(!listed);
  // A rate and the like: the same bound holds or fails with itself.
  return listed ? Truth::yes : Truth::unknown;
}

// The delays of a sequence are steps of their own; together they need that much time to have
// passed.
Truth Space::sequence_truth(const Plan& plan, const Node& node, const State& state) const {
  XsdDuration sum;
  bool steps = false;
  bool open = false;    // more than the sum, not the sum itself
  bool nested = false;  // delays in a choice: how much they add is not summed up
  auto out = Truth::yes;
  for (const auto index : plan.children_of(node.inner)) {
    const auto& step = plan.node(index);
    const bool delay = step.kind == NodeKind::atom && step.fault == Fault::none &&
                       plan.term(step).iri == iri::delay_period && step.inner.count == 1;
    if (!delay) {
      out = both(out, truth(plan, index, state));
      nested = nested || (step.kind != NodeKind::atom && find(iri::delay_period) != nullptr);
      continue;
    }
    const auto& span = std::get<XsdDuration>(plan.values_of(step.inner).front());
    if (step.op == Operator::lt || step.op == Operator::lteq) continue;
    steps = true;
    open = open || step.op == Operator::gt;
    sum.months += span.months;
    sum.seconds += span.seconds;
    sum.nanos += span.nanos;
  }
  const auto* elapsed = find(iri::elapsed_time);
  if (!elapsed || elapsed->kind != Axis::Kind::ordered) return out;
  if (nested) out = both(out, Truth::unknown);
  if (!steps) return out;
  const auto chosen = state[static_cast<std::size_t>(elapsed - axes_.data())];
  if (chosen < 0) return both(out, Truth::unknown);
  const auto rank = elapsed->candidates[static_cast<std::size_t>(chosen)];
  const auto least = rank_of(elapsed->constants, Value(sum));
  return both(out, known(open ? rank > least : rank >= least));
}

Truth Space::truth(const Plan& plan, Index index, const State& state) const {
  const auto& node = plan.node(index);
  if (node.kind == NodeKind::atom) return atom_truth(plan, index, state);
  if (node.kind == NodeKind::all) return truth(plan, node.inner, state);
  if (node.kind == NodeKind::sequence) return sequence_truth(plan, node, state);
  Index holds = 0;
  Index fails = 0;
  for (const auto inner : plan.children_of(node.inner)) {
    const auto one = truth(plan, inner, state);
    holds += one == Truth::yes ? 1U : 0U;
    fails += one == Truth::no ? 1U : 0U;
  }
  const auto all = node.inner.count;
  if (node.kind == NodeKind::any) {
    return holds > 0 ? Truth::yes : fails == all ? Truth::no : Truth::unknown;
  }
  if (holds > 1 || fails == all) return Truth::no;
  return holds == 1 && fails == all - 1 ? Truth::yes : Truth::unknown;
}

Truth Space::truth(const Plan& plan, Range nodes, const State& state) const {
  auto out = Truth::yes;
  for (const auto index : plan.children_of(nodes)) {
    out = both(out, truth(plan, index, state));
    if (out == Truth::no) break;
  }
  return out;
}

Truth Space::facts(const State& state) const {
  const auto* metered = find(iri::metered_time);
  const auto* elapsed = find(iri::elapsed_time);
  if (!metered || !elapsed || metered->kind != Axis::Kind::ordered ||
      elapsed->kind != Axis::Kind::ordered) {
    return Truth::yes;
  }
  const auto used = state[static_cast<std::size_t>(metered - axes_.data())];
  const auto passed = state[static_cast<std::size_t>(elapsed - axes_.data())];
  if (used < 0 || passed < 0) return Truth::unknown;
  // Both are on the one scale of durations.
  return known(
      metered->candidates[static_cast<std::size_t>(used)] <=
      elapsed->candidates[static_cast<std::size_t>(passed)]
  );
}

// False ends the search.
bool Space::visit(const std::function<Truth(const State&)>& goal, std::size_t axis, Answer& answer)
    const {
  // Each state is looked at by every constraint, at most.
  if (!budget_.spend(1 + axis_of_.size())) {
    answer.found = Truth::unknown;
    return false;
  }
  const auto now = both(facts(answer.state), goal(answer.state));
  if (now == Truth::no) return true;
  if (now == Truth::yes) {
    answer.found = Truth::yes;
    return false;
  }
  if (axis == axes_.size()) {
    answer.found = Truth::unknown;  // may do; another state may do for sure
    return true;
  }
  if (axes_[axis].candidates.empty()) return visit(goal, axis + 1, answer);
  for (std::size_t i = 0; i < axes_[axis].candidates.size(); ++i) {
    answer.state[axis] = static_cast<std::int32_t>(i);
    if (!visit(goal, axis + 1, answer)) return false;
  }
  answer.state[axis] = -1;
  return true;
}

Space::Answer Space::search(const std::function<Truth(const State&)>& goal) const {
  Answer answer;
  answer.state.assign(axes_.size(), -1);
  visit(goal, 0, answer);
  return answer;
}

}  // namespace tally::odrl
