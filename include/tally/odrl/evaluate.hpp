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
#include "tally/odrl/values.hpp"

namespace tally::odrl {

// Who vouches for a value.
enum class Source : std::uint8_t { measured, certificate, registration, asserted };
std::string_view to_string(Source source);

// What is known of something: of the act itself (no entity), or of a party, asset or system.
struct Fact {
  std::string entity;         // empty: the act, as the enforcer measured it or as it was declared
  std::string operand;        // IRI
  std::vector<Value> values;  // several hold at once
  std::string unit;           // IRI, or empty
  Source source = Source::asserted;
};

struct Request {
  std::string assignee;  // PartyId::uri of who acts; empty: not known
  std::string action;    // IRI
  std::string target;    // the asset's id
  // What the requester declares of the act: its purpose, who gets the result, … The engine takes it
  // as given; the connector lets nothing else in here.
  std::vector<Fact> declared;
  // The other side serves it, and this one only passes it on: what is counted there is asked there.
  bool passed_on = false;
};

// A declared fact of names: the purpose of an act.
Fact declared_names(std::string_view operand, std::span<const std::string> names, Source source);

// What the ledger knows of one rule. Absent: nothing used yet.
struct RuleUsage {
  std::int64_t count = 0;  // permitted − aborted
  std::optional<Instant> first_use;
  std::optional<Instant> last_use;
  std::optional<XsdDuration> metered = std::nullopt;  // open sessions included
  // Those of the longest window asked for, the earliest first.
  std::optional<std::vector<Instant>> recent_uses = std::nullopt;
};
struct UsageEntry {
  RuleId rule;
  RuleUsage usage;
  std::string unit = {};  // what unitOfCount counts by, or empty
};

struct Membership {
  std::string member;
  std::string part_of;
};
struct TypeOf {
  std::string entity;
  std::string type;
};
// An act that was done: how duties come to be fulfilled.
struct PerformedAct {
  std::string action, party, target;
  std::optional<Instant> at;
  std::vector<Fact> values;
  // Not empty: who the duty is owed to took the act as this one's fulfilment. It fulfils no other,
  // and this one also where it came late.
  RuleId duty = {};
};
// What an earlier report says of a duty.
struct DutyState {
  RuleId duty;
  bool fulfilled = false;
  bool violated = false;
};
struct EventSpan {
  std::string event;
  std::optional<Instant> start, end;  // no end: it still goes on
};
struct Reference {
  std::string iri;
  std::vector<Value> values;
};

// Everything the decision may look at. Borrowed for the call.
struct World {
  Instant now;
  bool clock_reliable = true;
  Side here = Side::consumer;  // where the act is decided and served
  std::span<const UsageEntry> usage;
  bool usage_known = true;  // false: the ledger cannot be read; counts are unknown
  // Duties whose deadline passed without being done, as who carries them out keeps them; nullopt:
  // nobody does, and it is told from the uses and the acts that were done.
  std::optional<std::span<const RuleId>> overdue;
  std::span<const Broader> taxonomy;  // for isA, isPartOf, hasPart and ordered names
  std::span<const Fact> facts;        // measured (no entity) and attributes of entities
  std::span<const Fact> lasting;      // the same, of what does not depend on the act; after `facts`
  std::span<const Membership> memberships;
  std::span<const TypeOf> types;
  std::span<const PerformedAct> performed;
  std::span<const DutyState> duty_states;
  std::span<const EventSpan> events;
  std::span<const Reference> references;
  std::optional<Instant> last_contact;  // with the provider; at the provider now
  Source assignee_source = Source::certificate;
};

enum class Reason : std::uint8_t {
  permitted,
  not_prohibited,  // nothing speaks of it, and the caller runs open
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
  agreement_closed,  // this and the next are given by usage, never by evaluate
  held,
  clock_unreliable,
};
std::string_view to_string(Reason reason
);  // "no-active-permission": the code of records and answers
std::optional<Reason> parse_reason(std::string_view code);

// none: no report. decisive: the rule that decided, or came closest. full: every rule and duty.
enum class Explain : std::uint8_t { none, decisive, full };

struct EvaluateOptions {
  Explain explain = Explain::none;
  // What neither a permission nor a prohibition speaks of. The connector is always closed.
  bool open = false;
  // Whether a permission waits until its duties are done, or only ends when one is violated.
  enum class Conditions : std::uint8_t { must_be_fulfilled, not_violated };
  Conditions conditions = Conditions::must_be_fulfilled;
  // The actions of the duties that the enforcer can carry out; nullopt: all that are carried_out.
  std::optional<std::span<const std::string>> enforceable = std::nullopt;
};

// Why a constraint has its state: "satisfied", "limit-reached", "not-permitted-value", "ended",
// "not-yet", "not-satisfied" (a logical one), "counted-elsewhere"; unknown ones by the error codes:
// "missing-value", "state-unavailable", "clock-unreliable", "type-mismatch", "unit-mismatch",
// "incomparable", "invalid-literal", "reference-unresolved", "unknown-left-operand",
// "unknown-operator", "operator-mismatch", "not-attested".
struct ConstraintReport {
  std::string pointer;
  std::string id;            // as the document names it, or empty
  std::string left_operand;  // IRI; empty for and, or, xone, andSequence
  std::string op;            // "lteq"; "and", "or", "xone", "andSequence"
  std::string required;
  std::string actual;  // empty: no value
  // Where the value was found: "clock", "usage", "contact", "event", "measured", "attribute",
  // "request", "act" (recorded with what was done); and who vouches for it.
  std::string_view found_in;
  Source source = Source::measured;
  Truth state = Truth::unknown;
  std::string_view because;
  std::optional<std::int64_t> limit;  // of a count: uses allowed
  std::optional<std::int64_t> used;   // of a count: uses before this one
  // Of what has a time: when it ended, or until when it does not hold yet. Only where the clock can
  // be believed.
  std::optional<Instant> until;
  std::vector<ConstraintReport> children;
};

enum class Deontic : std::uint8_t { not_set, fulfilled, violated };
std::string_view to_string(Deontic state);  // "NonSet", "Fulfilled", "Violated"

// A condition of a permission, a remedy, or an obligation of the policy.
struct DutyReport {
  RuleId duty;
  std::string action;
  std::string pointer;
  Truth active = Truth::yes;  // its own constraints
  Deontic state = Deontic::not_set;
  bool blocks = false;  // the permission waits for it, or ended with it
  std::vector<ConstraintReport> constraints;
};

struct RuleReport {
  RuleId rule;
  RuleKind kind = RuleKind::permission;
  std::string pointer;
  bool active = false;   // every premise holds; of a prohibition: none is known to fail
  bool applies = false;  // the same, of constraints and conditions alone
  bool match = false;    // target, party and action, with their refinements
  Deontic state = Deontic::not_set;
  Truth action = Truth::unknown;
  Truth target = Truth::unknown;
  Truth party = Truth::unknown;
  std::string required_action, required_target, required_party;  // as the rule says; "" is any
  // The rule is about this act, asset and party: when the premise is not true all the same, a
  // refinement is why.
  bool names_action = false, names_target = false, names_party = false;
  std::vector<ConstraintReport> constraints;
  std::vector<ConstraintReport> refinements;  // of action, target and party
  std::vector<DutyReport> conditions;
};

// How a duty is done: one of its parameters.
struct DutyParameter {
  std::string operand;         // IRI
  Operator op = Operator::eq;  // of a rowFilter isAnyOf or isAllOf; of others what says a list
  std::vector<Value> values;
  std::string text;  // all of them, as people read it
  bool operator==(const DutyParameter&) const = default;
};

struct Obligation {
  RuleId duty;
  RuleId permission;   // empty: of the policy
  std::string action;  // IRI
  Phase phase = Phase::after;
  DeadlineKind deadline = DeadlineKind::at_once;
  std::optional<Instant> at;  // for at_instant and when_expired
  XsdDuration after;          // for after_use
  std::vector<DutyParameter> parameters;
  std::vector<std::pair<std::string, std::string>> parties;  // "informedParty" → IRI
  std::string pointer;                                       // into the policy
};

// The counter that a permit moves. n is 0 when this act is no use here (its limit is counted by the
// other side).
struct Consume {
  RuleId rule;
  std::string unit;
  std::int64_t n = 1;
  std::int64_t count_after = 1;  // uses of the rule with this one
  // How long the time of this use is asked for by a rate: at least so many seconds. 0: by none.
  std::int64_t window = 0;
  bool metered = false;  // how long the use takes is added up
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
  std::vector<DutyReport> duties;       // obligations of the policy, for Explain::full
  // Repeated from the request, for explanations.
  std::string action, target, assignee;
  std::vector<std::string> policies;  // uids of those that were in force
  Instant evaluated_at;
};

// For one policy, or for several taken together: then their conflict terms have to agree where a
// conflict arises, and what is an Offer has no say.
Decision evaluate(
    std::span<const CompiledPolicy* const> policies,
    const Request& request,
    const World& world,
    const EvaluateOptions& options = {}
);
Decision evaluate(
    const CompiledPolicy& policy,
    const Request& request,
    const World& world,
    const EvaluateOptions& options = {}
);

// What a permit can carry under one of the policy's permissions, whatever the world is like then:
// every duty of it and of the policy that is not somebody else's to do. Empty: no such permission.
std::vector<Obligation> possible_obligations(
    const CompiledPolicy& policy, const RuleId& permission
);

// The duties of its permissions that nobody but people or other systems can do, and that who they
// are owed to confirms: compensate, obtainConsent. One that several permissions name stands here
// for each of them. What a permission waits for has Phase::before.
std::vector<Obligation> confirmed_duties(const CompiledPolicy& policy);
// The act by which such a duty counts as done: as the policy asks for it.
PerformedAct act_of(const Obligation& duty, std::string party, std::string target, Instant at);

// A run without a request: the state of every rule and obligation, as far as the world tells it.
// Nothing is permitted.
Decision monitor(const CompiledPolicy& policy, const World& world);

}  // namespace tally::odrl
