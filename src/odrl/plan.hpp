// What a policy becomes when it is loaded: flat arrays of rules, nodes and typed right operands.
// Only this module sees it. Nothing in here allocates when it is evaluated.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tally/odrl/policy.hpp"
#include "tally/odrl/values.hpp"

namespace tally::odrl {

using Index = std::uint32_t;
inline constexpr Index nothing = 0xffffffff;

struct Range {
  Index first = 0;
  Index count = 0;
};

enum class NodeKind : std::uint8_t { atom, all, any, one, sequence };

// Why a node can never be decided, whatever the world is like.
enum class Fault : std::uint8_t { none, unknown_operand, unknown_operator, operator_mismatch };

struct Node {
  NodeKind kind = NodeKind::atom;
  Operator op = Operator::eq;
  Fault fault = Fault::none;
  Side owner = Side::consumer;    // of a count or a rate
  std::uint8_t vouchers = 0;      // bits of Source that a value needs; 0: any will do
  bool own_owner = false;         // countedBy was written, not assumed
  Place place = Place::act;       // whose attribute is asked for; act: the act's own values
  OperandId operand = 0;          // see Plan::term
  Range inner;                    // of an atom: into Plan::values; else into Plan::children
  Index reference = nothing;      // into Plan::names: rightOperandReference
  Index unit = nothing;           // into Plan::names
  Index unit_of_count = nothing;  // into Plan::names
  std::int64_t status = 0;        // reached before this policy began; of counts
};

// What reports and sentences need of a node; kept apart from what decisions touch.
struct NodeText {
  std::string pointer;
  std::string id;        // as the document names it, or empty
  std::string required;  // the right operand as people read it
};

struct ActionUse {
  std::optional<ActionId> action;  // nullopt: unknown
  Index name = nothing;            // into Plan::names: the IRI
  Range refinements;               // into Plan::children
};

// An asset or party that a rule is for: itself, or what belongs to it.
struct Selector {
  Index name = nothing;    // into Plan::names
  Index source = nothing;  // of a collection, when it has a uid as well
  Range refinements;       // into Plan::children, on the member's own attributes
};

struct Parameter {
  Index operand = nothing;  // into Plan::names
  Operator op = Operator::eq;
  Range values;  // into Plan::values
  std::string text;
};

struct Duty {
  RuleId id;
  Index rule = nothing;  // into Plan::rules; nothing: an obligation of the policy
  ActionUse action;
  std::vector<Selector> assignees, targets;
  Range constraints;
  Phase phase = Phase::before;
  bool condition = false;    // somebody else's to fulfil, before the use
  bool undecidable = false;  // says a word that nobody knows: what it asks cannot be told
  DeadlineKind deadline = DeadlineKind::at_once;
  std::optional<Instant> at;
  XsdDuration after;
  std::vector<Parameter> parameters;
  std::vector<std::pair<std::string, std::string>> parties;  // "informedParty" → IRI
  std::vector<Index> consequences;                           // into Plan::duties
  std::string pointer;
};

struct Rule {
  RuleKind kind = RuleKind::permission;
  RuleId id;
  std::string pointer;
  bool any_action = false;          // names none, and nothing else either: everything
  bool lacks_action = false;        // names none, and something else: unknown what it is about
  std::vector<ActionUse> actions;   // any of them
  std::vector<Selector> targets;    // any of them; none: any asset
  std::vector<Selector> assignees;  // any of them; none: anyone
  bool own_targets = false;         // written in the rule, not pushed down from the policy
  bool own_assignees = false;
  Range constraints;  // into Plan::children; all of them
  // What stood among the constraints and narrows the asset and the party: refinements.
  Range target_attributes, assignee_attributes;
  std::vector<Index> duties;  // of a permission: duties; of a prohibition: remedies
  bool stateful = false;      // counts, rates or a time since a use
  bool since_first_use = false;
  bool metered_at_provider = false;  // this side adds the time of its uses up
  bool metered_at_consumer = false;
  std::int64_t window_at_provider = 0;  // the longest window of a rate that this side counts, in
  std::int64_t window_at_consumer = 0;  // seconds, rather too many than too few; 0: there is none
  bool counts_at_provider = false;      // has a count that this side owns
  bool counts_at_consumer = false;

  [[nodiscard]] bool metered_at(Side side) const {
    return side == Side::provider ? metered_at_provider : metered_at_consumer;
  }
  [[nodiscard]] std::int64_t window_at(Side side) const {
    return side == Side::provider ? window_at_provider : window_at_consumer;
  }
  [[nodiscard]] bool has_count() const { return counts_at_provider || counts_at_consumer; }
  [[nodiscard]] bool counts_at(Side side) const {
    return side == Side::provider ? counts_at_provider : counts_at_consumer;
  }
};

struct Plan {
  std::string uid;
  PolicyType type = PolicyType::set;
  std::optional<Conflict> conflict;  // as stated here
  bool conflict_disputed = false;    // by an ancestor that states another
  std::string target, assigner, assignee;
  Digest digest{};
  std::vector<Rule> rules;         // permissions and prohibitions, in the order of the document
  std::vector<Duty> duties;        // of all places
  std::vector<Index> obligations;  // into duties: those of the policy
  std::vector<Node> nodes;
  std::vector<NodeText> texts;  // one per node
  std::vector<Index> children;  // into nodes
  std::vector<Value> values;
  std::vector<std::string> names;        // IRIs
  std::vector<OperandTerm> extra_terms;  // operands that no vocabulary has; iri into names
  std::vector<std::string> extra_term_iris;
  std::map<Index, Value> anchors;           // of periodic sets: node → where it begins
  std::vector<RuleSummary> summaries;       // one per rule
  std::vector<DutySummary> duty_summaries;  // what is carried out after the use
  std::optional<Instant> not_after;
  std::vector<Problem> warnings;
  std::vector<Problem> doubts;

  [[nodiscard]] const OperandTerm& term(const Node& node) const {
    const auto known = known_operands();
    return node.operand < known.size() ? known[node.operand]
                                       : extra_terms[node.operand - known.size()];
  }
  [[nodiscard]] std::span<const Index> children_of(Range range) const {
    return {children.data() + range.first, range.count};
  }
  [[nodiscard]] std::span<const Value> values_of(Range range) const {
    return {values.data() + range.first, range.count};
  }
  [[nodiscard]] const Node& node(Index index) const { return nodes[index]; }
};

// Bounds in time outside of which all of `nodes` (indices) cannot be satisfied.
struct TimeBounds {
  std::optional<Instant> from;   // inclusive
  std::optional<Instant> until;  // exclusive
};
TimeBounds time_bounds(const Plan& plan, Range nodes);

}  // namespace tally::odrl
