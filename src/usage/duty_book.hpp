// The duties of one agreement that are confirmed, as the records say: part of its ledger entry. No
// lock, no clock, no I/O of its own.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tally/core/clock.hpp"
#include "tally/core/json.hpp"
#include "tally/usage/duties.hpp"

namespace tally::usage {

class DutyBook {
 public:
  // When the uses of a permission were, those that cannot be given back and the others.
  struct Uses {
    std::optional<Instant> first, last;
  };
  class UsesOf {
   public:
    virtual ~UsesOf() = default;
    // Empty: of all permissions.
    [[nodiscard]] virtual Uses uses_of(const RuleId& permission) const = 0;
  };

  // What the policy says of them, and what odrl is told who did what on which asset. Before that
  // only records are known.
  void know(const odrl::CompiledPolicy& policy, std::string party, std::string target);
  [[nodiscard]] bool asks() const { return !duties_.empty(); }
  // Whether some duty has a deadline that uses set.
  [[nodiscard]] bool owes_after() const;

  // Idempotent. What is withdrawn stays so.
  void apply(const DutyEvent& change, const UsesOf& uses);
  void used(const std::vector<RuleId>& permissions, Instant at);
  void given_back(Instant at, const UsesOf& uses);

  // For odrl: one act for each duty that a confirmation stands for. Valid until the next change.
  [[nodiscard]] std::span<const odrl::PerformedAct> performed() const { return performed_; }
  // Those that are owed after uses and whose deadline has passed.
  [[nodiscard]] std::vector<RuleId> overdue(const ClockReading& now, const UsesOf& uses) const;
  [[nodiscard]] std::vector<DutyState> states(const ClockReading& now, const UsesOf& uses) const;
  // How often something was withdrawn: a stream asks again.
  [[nodiscard]] std::uint64_t withdrawals() const { return withdrawals_; }

  // What replay made of it, and back; throws Json::exception where that is none.
  [[nodiscard]] Json save() const;  // an empty list: nothing
  static DutyBook restore(const Json& saved);

 private:
  struct Kept {
    Confirmation said;
    std::optional<Instant> covers;  // since when uses were owed for that it settled
  };
  struct Duty {
    RuleId id;
    RuleId permission;
    std::vector<Kept> confirmations;
    std::optional<Instant> owed;  // the first use since the latest confirmation that stands
    std::optional<Instant> violated, asked, rejected;
    [[nodiscard]] const Kept* latest() const;  // that stands; null: none does
    [[nodiscard]] std::optional<Instant> owed_since(const UsesOf& uses) const;
  };
  // What is owed after a use.
  struct Debt {
    std::optional<Instant> since, until;
    bool overdue = false;  // since its deadline
  };
  [[nodiscard]] std::optional<Debt> owed(
      const odrl::Obligation& duty, const ClockReading& now, const UsesOf& uses
  ) const;
  Duty& of(const DutyEvent& change);
  [[nodiscard]] const Duty* find(const RuleId& id) const;
  [[nodiscard]] DutyState state(
      const odrl::Obligation& duty, const ClockReading& now, const UsesOf& uses
  ) const;
  void refresh();

  std::vector<odrl::Obligation> duties_;  // of the policy, each once
  std::string party_, target_;
  std::vector<Duty> known_;  // in the order in which records spoke of them
  std::vector<odrl::PerformedAct> performed_;
  std::uint64_t withdrawals_ = 0;
};

}  // namespace tally::usage
