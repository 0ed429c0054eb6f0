// What a policy becomes when it is loaded: rules with interned actions and typed right operands.
// Only this module sees it. Nothing in here allocates when it is evaluated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "tally/odrl/policy.hpp"

#include "vocabulary.hpp"

namespace tally::odrl {

// A date is the interval it covers; an instant is the interval of one nanosecond.
struct TimeSpan {
  Instant start;
  Instant end;  // exclusive
  bool operator==(const TimeSpan&) const = default;
};

// One alternative per operand type: dateTime, count, purpose, elapsedTime.
using Values = std::variant<
    std::vector<TimeSpan>,
    std::vector<std::int64_t>,
    std::vector<std::string>,
    std::vector<XsdDuration>>;

struct Atom {
  Operand operand = Operand::purpose;
  Operator op = Operator::eq;
  Values values;
  Side owner = Side::consumer;  // of a count
  std::string required;         // the right operand as people read it
};

enum class NodeKind : std::uint8_t { atom, all, any, one };

struct Node {
  NodeKind kind = NodeKind::atom;
  std::string pointer;
  Atom atom;                   // when kind is atom
  std::vector<Node> children;  // otherwise
};

struct Rule {
  RuleKind kind = RuleKind::permission;
  RuleId id;
  std::string pointer;
  std::vector<ActionId> actions;       // any of them
  std::vector<std::string> targets;    // any of them; none: any asset
  std::vector<std::string> assignees;  // any of them; none: anyone
  bool own_targets = false;            // written in the rule, not pushed down from the policy
  bool own_assignees = false;
  std::vector<Node> constraints;    // all of them
  std::vector<std::size_t> duties;  // indices into Plan::duties
  bool has_elapsed = false;         // needs the first use
  bool counts_at_provider = false;  // has a count that this side owns
  bool counts_at_consumer = false;

  [[nodiscard]] bool has_count() const { return counts_at_provider || counts_at_consumer; }
  [[nodiscard]] bool counts_at(Side side) const {
    return side == Side::provider ? counts_at_provider : counts_at_consumer;
  }
};

struct Plan {
  std::string uid;
  PolicyType type = PolicyType::set;
  Conflict conflict = Conflict::invalid;
  std::string target, assigner, assignee;
  Digest digest{};
  std::vector<Rule> rules;  // permissions and prohibitions, in the order of the document
  std::vector<DutySummary> duties;
  std::vector<std::size_t> obligations;  // indices into duties: those of the policy
  std::vector<RuleSummary> summaries;    // one per rule
  std::optional<Instant> not_after;
  std::vector<Problem> warnings;
};

// Bounds in time outside of which `nodes` (all of them) cannot be satisfied.
struct TimeBounds {
  std::optional<Instant> from;   // inclusive
  std::optional<Instant> until;  // exclusive
};
TimeBounds time_bounds(const std::vector<Node>& nodes);

// The interval of an atom on dateTime that an operator of order or eq leaves open.
TimeBounds time_bounds(const Atom& atom);

// Whether the tree holds an atom on `operand`.
bool mentions(const std::vector<Node>& nodes, Operand operand);

}  // namespace tally::odrl
