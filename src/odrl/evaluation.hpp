// One policy as one decision sees it: each premise of each rule in three truth values. The decision
// itself is in evaluate.cpp, constraints in satisfy.cpp, assets, parties, actions and duties in
// premises.cpp, what people get to read in report.cpp.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tally/odrl/evaluate.hpp"

#include "plan.hpp"

namespace tally::odrl {

// Why something is unknown, as bits: when only the clock is in doubt the answer says so, and what
// only the other side can count is refused as not permitted here.
enum Doubt : std::uint8_t { no_doubt = 0, clock_doubt = 1, other_doubt = 2, elsewhere_doubt = 4 };

struct Outcome {
  Truth truth = Truth::yes;
  std::uint8_t doubt = no_doubt;
  std::string_view because = "satisfied";
};

inline Truth both(Truth a, Truth b) {
  return a < b ? a : b;
}

// What a constraint is asked of: the act under a rule, an entity (refinements of assets and
// parties), or an act that was done (refinements of duties).
struct Scope {
  const Rule* rule = nullptr;
  std::string_view entity;
  const PerformedAct* performed = nullptr;
};

struct RuleState {
  const Plan* plan = nullptr;
  const Rule* rule = nullptr;
  Truth action = Truth::yes;
  Truth target = Truth::yes;
  Truth party = Truth::yes;
  Truth constraints = Truth::yes;
  Truth overall = Truth::yes;  // all four
  std::uint8_t doubt = no_doubt;
  bool violated = false;     // a duty of the permission was not done in time
  bool unfulfilled = false;  // it waits for a duty
  [[nodiscard]] bool matches() const { return both(action, both(target, party)) == Truth::yes; }
  // Of a permission: everything is true. Of a prohibition: nothing is known to be false.
  [[nodiscard]] bool active() const {
    if (rule->kind == RuleKind::prohibition) return overall != Truth::no;
    return overall == Truth::yes && !violated && !unfulfilled;
  }
};

struct DutyStatus {
  Truth active = Truth::yes;  // its own constraints
  bool fulfilled = false;
  bool violated = false;
  bool clock_in_doubt = false;  // whether it is late cannot be told
};

class Evaluation {
 public:
  Evaluation(
      const Plan& plan, const Request& request, const World& world, const EvaluateOptions& options
  )
      : plan_(plan),
        request_(request),
        world_(world),
        options_(options),
        action_(find_action(request.action)) {}

  [[nodiscard]] const Plan& plan() const { return plan_; }

  // premises.cpp
  [[nodiscard]] RuleState state_of(const Rule& rule) const;
  // Whether it is one of them or belongs to one, whatever the refinements say.
  [[nodiscard]] bool is_named(const std::vector<Selector>& list, const std::string& entity) const;
  [[nodiscard]] DutyStatus status_of(const Duty& duty) const;
  [[nodiscard]] bool blocks(const Duty& duty, const DutyStatus& status) const;
  [[nodiscard]] bool enforceable(const Duty& duty) const;
  // The action the rule's permission implies: a prohibition of it is a conflict.
  [[nodiscard]] bool implies(const Rule& permission, const Rule& prohibition) const;
  [[nodiscard]] bool fills_custody() const;
  // The act is done by the provider, whoever asks for it: filling the consumer's custody; and, as
  // the consumer sees it, aggregating and what it only passes on.
  [[nodiscard]] bool is_provider_act() const;

  // satisfy.cpp
  [[nodiscard]] Outcome satisfy(const Node& node, const Scope& scope) const;
  [[nodiscard]] Outcome satisfy_all(Range nodes, const Scope& scope) const;
  // The earliest instant after now at which `nodes` may turn.
  void next_change(Range nodes, const Scope& scope, std::optional<Instant>& at) const;
  // The earliest at which what was done may no longer fulfil the duty.
  void next_change(const Duty& duty, std::optional<Instant>& at) const;

  // report.cpp
  [[nodiscard]] RuleReport report(const RuleState& state) const;
  [[nodiscard]] DutyReport report(const Duty& duty) const;
  void collect_unknowns(const RuleState& state, std::vector<Problem>& out) const;

 private:
  struct Found {
    const Fact* fact = nullptr;
    bool attested = true;
  };

  [[nodiscard]] Outcome satisfy_atom(const Node& node, const Scope& scope) const;
  [[nodiscard]] Outcome by_fact(
      const Node& node, const Found& found, std::span<const Value> required
  ) const;
  [[nodiscard]] Outcome by_clock(const Node& node, std::span<const Value> required) const;
  [[nodiscard]] Outcome by_uses(
      const Node& node, const Scope& scope, std::span<const Value> required
  ) const;
  [[nodiscard]] Outcome by_recent_uses(
      const Node& node, const Scope& scope, std::span<const Value> required
  ) const;
  [[nodiscard]] Outcome by_time_since(
      const Node& node, const Scope& scope, std::span<const Value> required
  ) const;
  [[nodiscard]] Outcome by_meter(
      const Node& node, const Scope& scope, std::span<const Value> required
  ) const;
  [[nodiscard]] Outcome by_event(const Node& node, std::span<const Value> required) const;
  [[nodiscard]] Compared compare_within_world(
      const OperandTerm& term,
      std::span<const Value> actual,
      Operator op,
      std::span<const Value> required
  ) const;
  [[nodiscard]] std::optional<Outcome> counted_elsewhere(const Node& node) const;
  [[nodiscard]] bool is_left_to_custody(const Node& node, const Scope& scope) const;
  // When a constraint that failed for its time ended, or may hold (ConstraintReport::until).
  [[nodiscard]] std::optional<Instant> turning_point(const Node& node, const Scope& scope) const;
  // Where the time of a constraint begins; nullopt and an outcome when that is not known.
  struct Since {
    std::optional<Instant> from;
    Outcome outcome;
  };
  [[nodiscard]] Since since(const Node& node, const Scope& scope) const;
  [[nodiscard]] Found find_fact(const Node& node, const OperandTerm& term, const Scope& scope)
      const;
  [[nodiscard]] std::optional<std::span<const Value>> required_values(const Node& node) const;
  [[nodiscard]] std::int64_t uses_within(const RuleUsage* usage, const Rate& rate) const;
  [[nodiscard]] bool measures(Origin origin, const Scope& scope) const;
  [[nodiscard]] const RuleUsage* usage_of(const Rule& rule, Index unit) const;
  [[nodiscard]] const std::string& name(Index index) const { return plan_.names[index]; }
  void soonest(Instant candidate, std::optional<Instant>& at) const {
    if (candidate > world_.now && (!at || candidate < *at)) at = candidate;
  }

  [[nodiscard]] Outcome match_any(const std::vector<Selector>& selectors, const std::string& entity)
      const;
  [[nodiscard]] Outcome match(const Selector& selector, const std::string& entity) const;
  [[nodiscard]] bool is_named(const Selector& selector, const std::string& entity) const;
  [[nodiscard]] bool is_member(const std::string& entity, const std::string& collection) const;
  [[nodiscard]] Outcome match_action(const Rule& rule) const;
  struct Done {
    std::optional<Instant> first, last;
    bool accepted = false;  // by who it is owed to: then it is not too late
  };
  [[nodiscard]] Done done(const Duty& duty) const;
  [[nodiscard]] bool is_doing(const PerformedAct& act, const Duty& duty) const;
  [[nodiscard]] bool is_late_after_use(const Duty& duty, const Done& done) const;
  [[nodiscard]] bool is_overdue(const Duty& duty, const Done& done) const;

  [[nodiscard]] ConstraintReport report(Index node, const Scope& scope) const;
  void report_actual(const Node& node, const Scope& scope, ConstraintReport& out) const;
  [[nodiscard]] bool exercised(const Rule& rule) const;
  void report_refinements(const Rule& rule, RuleReport& out) const;
  void collect_unknowns(Range nodes, const Scope& scope, std::vector<Problem>& out) const;

  const Plan& plan_;
  const Request& request_;
  const World& world_;
  const EvaluateOptions& options_;
  std::optional<ActionId> action_;
};

}  // namespace tally::odrl
