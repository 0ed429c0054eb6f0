#include "tally/odrl/policy.hpp"

#include <algorithm>

#include "plan.hpp"

namespace tally::odrl {
namespace {

void tighten(TimeBounds& bounds, const TimeBounds& other) {
  if (other.from && (!bounds.from || *other.from > *bounds.from)) bounds.from = other.from;
  if (other.until && (!bounds.until || *other.until < *bounds.until)) bounds.until = other.until;
}

// Bounds of nodes of which at least one holds: a side is bounded only if every branch bounds it.
TimeBounds widest(const std::vector<Node>& nodes);

TimeBounds bounds_of(const Node& node) {
  switch (node.kind) {
    case NodeKind::atom:
      return time_bounds(node.atom);
    case NodeKind::all:
      return time_bounds(node.children);
    case NodeKind::any:
    case NodeKind::one:
      return widest(node.children);
  }
  return {};
}

TimeBounds widest(const std::vector<Node>& nodes) {
  std::optional<TimeBounds> out;
  for (const auto& node : nodes) {
    const auto one = bounds_of(node);
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

}  // namespace

TimeBounds time_bounds(const Atom& atom) {
  TimeBounds bounds;
  if (atom.operand != Operand::date_time) return bounds;
  const auto& spans = std::get<std::vector<TimeSpan>>(atom.values);
  switch (atom.op) {
    case Operator::lt:
      bounds.until = spans.front().start;
      break;
    case Operator::lteq:
      bounds.until = spans.front().end;
      break;
    case Operator::gt:
      bounds.from = spans.front().end;
      break;
    case Operator::gteq:
      bounds.from = spans.front().start;
      break;
    case Operator::eq:
    case Operator::is_any_of:
      for (const auto& span : spans) {
        if (!bounds.from || span.start < *bounds.from) bounds.from = span.start;
        if (!bounds.until || span.end > *bounds.until) bounds.until = span.end;
      }
      break;
    default:
      break;
  }
  return bounds;
}

TimeBounds time_bounds(const std::vector<Node>& nodes) {
  TimeBounds bounds;
  for (const auto& node : nodes) tighten(bounds, bounds_of(node));
  return bounds;
}

bool mentions(const std::vector<Node>& nodes, Operand operand) {
  return std::ranges::any_of(nodes, [&](const Node& node) {
    return node.kind == NodeKind::atom ? node.atom.operand == operand
                                       : mentions(node.children, operand);
  });
}

std::string_view to_string(PolicyType type) {
  switch (type) {
    case PolicyType::set:
      return "Set";
    case PolicyType::offer:
      return "Offer";
    case PolicyType::agreement:
      return "Agreement";
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
  return plan_->duties;
}
std::optional<Instant> CompiledPolicy::not_after() const {
  return plan_->not_after;
}

}  // namespace tally::odrl
