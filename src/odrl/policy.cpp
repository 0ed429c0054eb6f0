#include "tally/odrl/policy.hpp"

#include <algorithm>

#include "plan.hpp"

namespace tally::odrl {
namespace {

void tighten(TimeBounds& bounds, const TimeBounds& other) {
  if (other.from && (!bounds.from || *other.from > *bounds.from)) bounds.from = other.from;
  if (other.until && (!bounds.until || *other.until < *bounds.until)) bounds.until = other.until;
}

TimeBounds bounds_of(const Plan& plan, const Node& node);

// Bounds of nodes of which at least one holds: a side is bounded only if every branch bounds it.
TimeBounds widest(const Plan& plan, Range nodes) {
  std::optional<TimeBounds> out;
  for (const auto index : plan.children_of(nodes)) {
    const auto one = bounds_of(plan, plan.node(index));
    if (!out) {
      out = one;
      continue;
    }
    out->from =
        out->from && one.from ? std::optional(std::min(*out->from, *one.from)) : std::nullopt;
    out->until =
        out->until && one.until ? std::optional(std::max(*out->until, *one.until)) : std::nullopt;
  }
  return out.value_or(TimeBounds{});
}

TimeBounds bounds_of_atom(const Plan& plan, const Node& node) {
  TimeBounds bounds;
  if (node.fault != Fault::none || plan.term(node).origin != Origin::clock) return bounds;
  for (const auto& value : plan.values_of(node.inner)) {
    const auto* span = std::get_if<TimeSpan>(&value);
    if (!span) return {};
    switch (node.op) {
      case Operator::lt:
        bounds.until = span->start;
        break;
      case Operator::lteq:
        bounds.until = span->end;
        break;
      case Operator::gt:
        bounds.from = span->end;
        break;
      case Operator::gteq:
        bounds.from = span->start;
        break;
      case Operator::eq:
      case Operator::is_any_of:
        if (!bounds.from || span->start < *bounds.from) bounds.from = span->start;
        if (!bounds.until || span->end > *bounds.until) bounds.until = span->end;
        break;
      default:
        break;
    }
  }
  return bounds;
}

TimeBounds bounds_of(const Plan& plan, const Node& node) {
  switch (node.kind) {
    case NodeKind::atom:
      return bounds_of_atom(plan, node);
    case NodeKind::all:
    case NodeKind::sequence:
      return time_bounds(plan, node.inner);
    case NodeKind::any:
    case NodeKind::one:
      return widest(plan, node.inner);
  }
  return {};
}

}  // namespace

TimeBounds time_bounds(const Plan& plan, Range nodes) {
  TimeBounds bounds;
  for (const auto index : plan.children_of(nodes)) {
    tighten(bounds, bounds_of(plan, plan.node(index)));
  }
  return bounds;
}

std::string_view to_string(PolicyType type) {
  switch (type) {
    case PolicyType::set:
      return "Set";
    case PolicyType::offer:
      return "Offer";
    case PolicyType::agreement:
      return "Agreement";
    case PolicyType::assertion:
      return "Assertion";
    case PolicyType::privacy:
      return "Privacy";
    case PolicyType::request:
      return "Request";
    case PolicyType::ticket:
      return "Ticket";
  }
  return {};
}

std::string_view to_string(Side side) {
  return side == Side::provider ? "provider" : "consumer";
}

std::string_view to_string(RuleKind kind) {
  switch (kind) {
    case RuleKind::permission:
      return "permission";
    case RuleKind::prohibition:
      return "prohibition";
    case RuleKind::duty:
      return "duty";
  }
  return {};
}

CompiledPolicy::CompiledPolicy(std::unique_ptr<const Plan> plan) : plan_(std::move(plan)) {}
CompiledPolicy::~CompiledPolicy() = default;

const std::string& CompiledPolicy::uid() const {
  return plan_->uid;
}
PolicyType CompiledPolicy::type() const {
  return plan_->type;
}
const std::string& CompiledPolicy::target() const {
  return plan_->target;
}
const std::string& CompiledPolicy::assigner() const {
  return plan_->assigner;
}
const std::string& CompiledPolicy::assignee() const {
  return plan_->assignee;
}
const Digest& CompiledPolicy::digest() const {
  return plan_->digest;
}
const std::vector<Problem>& CompiledPolicy::warnings() const {
  return plan_->warnings;
}
const std::vector<RuleSummary>& CompiledPolicy::rules() const {
  return plan_->summaries;
}
const std::vector<DutySummary>& CompiledPolicy::duties() const {
  return plan_->duty_summaries;
}
std::vector<XsdDuration> CompiledPolicy::log_retention() const {
  std::vector<XsdDuration> found;
  for (const Duty& duty : plan_->duties) {
    for (const Parameter& one : duty.parameters) {
      if (plan_->names[one.operand] != iri::retention) continue;
      for (const Value& value : plan_->values_of(one.values)) {
        if (const auto* duration = std::get_if<XsdDuration>(&value)) found.push_back(*duration);
      }
    }
  }
  return found;
}
bool CompiledPolicy::asks_for(std::string_view operand, std::string_view name) const {
  return std::ranges::any_of(plan_->nodes, [&](const Node& node) {
    if (node.kind != NodeKind::atom || plan_->term(node).iri != operand) return false;
    const auto values = plan_->values_of(node.inner);
    return std::ranges::any_of(values, [&](const Value& one) { return to_text(one) == name; });
  });
}
std::vector<std::string_view> CompiledPolicy::operands() const {
  std::vector<std::string_view> found;
  for (const Node& node : plan_->nodes) {
    if (node.kind != NodeKind::atom) continue;
    const auto operand = plan_->term(node).iri;
    if (std::ranges::find(found, operand) == found.end()) found.push_back(operand);
  }
  return found;
}
std::optional<Instant> CompiledPolicy::not_after() const {
  return plan_->not_after;
}

}  // namespace tally::odrl
