// The decision: may this party do this act on this asset now, and what follows from it?
//
// A pure function of the policy, the request and the state of the world; it reads no clock, changes
// no count and waits for nothing. `usage` is the only caller whose answer lets data move. Three
// truth values inside; outside there is no "unknown": not knowing denies. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::odrl {

// Who vouches for a value.
enum class Source : std::uint8_t { measured, certificate, registration, asserted };
std::string_view to_string(Source source);

struct Request {
  std::string assignee;  // PartyId::uri of who acts
  std::string action;    // IRI
  std::string target;    // the asset's id
  // What the act is for. Every declared purpose has to be permitted; none declared is unknown.
  std::vector<std::string> purposes;
};

// What the ledger knows of one rule. Absent: nothing used yet.
struct RuleUsage {
  std::int64_t count = 0;  // permitted − aborted
  std::optional<Instant> first_use;
  std::optional<Instant> last_use;
};
struct UsageEntry {
  RuleId rule;
  RuleUsage usage;
};

// `narrower` is below `broader`; transitive.
struct Broader {
  std::string narrower;
  std::string broader;
};

struct World {
  Instant now;
  bool clock_reliable = true;
  Side here = Side::consumer;         // where the act is decided and served
  std::span<const UsageEntry> usage;  // borrowed for the call
  bool usage_known = true;            // false: the ledger cannot be read; counts are unknown
  std::span<const RuleId> overdue;    // duties whose deadline passed without being done
  std::span<const Broader> taxonomy;  // for isA, isPartOf, hasPart
  Source purpose_source = Source::asserted;
  Source assignee_source = Source::certificate;
};

enum class Reason : std::uint8_t {
  permitted,
  prohibited,
  no_active_permission,
  condition_unfulfilled,
  condition_violated,
  policy_void,
  obligation_unenforceable,
  not_in_force,
  policy_replaced,
  unsupported_profile,
  invalid_policy,
  undecidable,
  agreement_closed,  // given by usage, never by evaluate
  clock_unreliable,
};
std::string_view to_string(Reason reason
);  // "no-active-permission": the code of records and answers
std::optional<Reason> parse_reason(std::string_view code);

enum class Truth : std::uint8_t { no, unknown, yes };  // in Kleene's order
std::string_view to_string(Truth truth);               // "unsatisfied", "unknown", "satisfied"

// none: no report. decisive: the rule that decided, or came closest. full: every rule.
enum class Explain : std::uint8_t { none, decisive, full };

// Why a constraint has its state: "satisfied", "limit-reached", "not-permitted-value", "ended",
// "not-yet", "missing-value", "state-unavailable", "clock-unreliable", "counted-elsewhere".
struct ConstraintReport {
  std::string pointer;
  std::string left_operand;  // IRI; empty for and, or, xone
  std::string op;            // "lteq"; "and", "or", "xone"
  std::string required;
  std::string actual;  // empty: no value
  Source source = Source::measured;
  Truth state = Truth::unknown;
  std::string because;
  std::optional<std::int64_t> limit;  // of a count: uses allowed
  std::optional<std::int64_t> used;   // of a count: uses before this one
  std::vector<ConstraintReport> children;
};

struct RuleReport {
  RuleId rule;
  RuleKind kind = RuleKind::permission;
  std::string pointer;
  bool active = false;
  Truth action = Truth::unknown;
  Truth target = Truth::unknown;
  Truth party = Truth::unknown;
  std::string required_action, required_target, required_party;  // as the rule says; "" is any
  std::vector<ConstraintReport> constraints;
};

enum class Phase : std::uint8_t { before, with, after };
std::string_view to_string(Phase phase);

struct Obligation {
  RuleId duty;
  RuleId permission;  // empty: of the policy
  std::string action;
  Phase phase = Phase::after;
  DeadlineKind deadline = DeadlineKind::at_once;
  std::optional<Instant> at;  // for at_instant and when_expired
  XsdDuration after;          // for after_use
};

// The counter that a permit moves. n is 0 when this act is no use here (its limit is counted by the
// other side).
struct Consume {
  RuleId rule;
  std::string unit;
  std::int64_t n = 1;
};

struct Decision {
  bool permit = false;
  Reason reason = Reason::invalid_policy;
  RuleId decisive_rule;  // that carried it; for a refusal the one that prohibits or came closest
  std::vector<Obligation> obligations;  // permits only
  std::vector<Consume> consume;         // permits only
  std::optional<Instant> valid_until;   // permits only: ask again from here on
  std::vector<Problem> errors;          // what was missing, when something was unknown
  std::vector<RuleReport> rules;        // by Explain; the decisive one first
  // Repeated from the request, for explanations.
  std::string action, target, assignee;
};

Decision evaluate(
    const CompiledPolicy& policy,
    const Request& request,
    const World& world,
    Explain explain = Explain::none
);

}  // namespace tally::odrl
