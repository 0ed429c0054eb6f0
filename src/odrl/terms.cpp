#include "tally/odrl/terms.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

namespace tally::odrl {
namespace {

#define ODRL "http://www.w3.org/ns/odrl/2/"
#define CC "http://creativecommons.org/ns#"
#define TALLY "urn:tally:profile:1#"
#define IDS "https://w3id.org/idsa/code/"
#define VCARD "http://www.w3.org/2006/vcard/ns#"
#define AXIS "http://w3id.org/odrl/spatial-axis#"

constexpr auto before = Phase::before;
constexpr auto with = Phase::with;
constexpr auto after = Phase::after;

// The tree of ODRL 2.2 (Vocabulary, section 4), Creative Commons' actions, the profile's and the
// duties of the IDS codes. The phase is that of a duty which does not say when it is due;
// `carried_out` are those that the enforcer does itself.
// A table reads by rows.
// clang-format off
constexpr auto actions = std::to_array<ActionTerm>({
    // iri, parent, implies, phase, carried_out, deprecated
    {ODRL "use", "", "", before, false, false},
    {ODRL "transfer", "", "", before, false, false},
    {ODRL "acceptTracking", ODRL "use", "", before, false, false},
    {ODRL "aggregate", ODRL "use", "", before, false, false},
    {ODRL "annotate", ODRL "use", "", before, false, false},
    {ODRL "anonymize", ODRL "use", "", with, true, false},
    {ODRL "archive", ODRL "use", "", after, true, false},
    {ODRL "attribute", ODRL "use", "", with, true, false},
    {ODRL "compensate", ODRL "use", "", before, false, false},
    {ODRL "concurrentUse", ODRL "use", "", before, false, false},
    {ODRL "delete", ODRL "use", "", after, true, false},
    {ODRL "derive", ODRL "use", "", before, false, false},
    {ODRL "digitize", ODRL "use", "", before, false, false},
    {ODRL "display", ODRL "play", "", before, false, false},
    {ODRL "distribute", ODRL "use", TALLY "export", before, false, false},
    {ODRL "ensureExclusivity", ODRL "use", "", before, false, false},
    {ODRL "execute", ODRL "use", "", before, false, false},
    {ODRL "extract", ODRL "reproduce", "", before, false, false},
    {ODRL "give", ODRL "transfer", "", before, false, false},
    {ODRL "grantUse", ODRL "use", "", before, false, false},
    {ODRL "include", ODRL "use", "", before, false, false},
    {ODRL "index", ODRL "use", "", before, false, false},
    {ODRL "inform", ODRL "use", "", after, true, false},
    {ODRL "install", ODRL "use", "", before, false, false},
    {ODRL "modify", ODRL "use", "", before, false, false},
    {ODRL "move", ODRL "use", "", before, false, false},
    {ODRL "nextPolicy", ODRL "use", "", with, true, false},
    {ODRL "obtainConsent", ODRL "use", "", before, false, false},
    {ODRL "play", ODRL "use", "", before, false, false},
    {ODRL "present", ODRL "use", "", before, false, false},
    {ODRL "print", ODRL "use", "", before, false, false},
    {ODRL "read", ODRL "use", "", before, false, false},
    {ODRL "reproduce", ODRL "use", "", before, false, false},
    {ODRL "reviewPolicy", ODRL "use", "", before, false, false},
    {ODRL "sell", ODRL "transfer", "", before, false, false},
    {ODRL "stream", ODRL "use", "", before, false, false},
    {ODRL "synchronize", ODRL "use", "", before, false, false},
    {ODRL "textToSpeech", ODRL "use", "", before, false, false},
    {ODRL "transform", ODRL "use", "", with, true, false},
    {ODRL "translate", ODRL "use", "", before, false, false},
    {ODRL "uninstall", ODRL "use", "", after, true, false},
    {ODRL "watermark", ODRL "use", "", with, true, false},
    {CC "Attribution", ODRL "use", "", before, false, false},
    {CC "CommercialUse", ODRL "use", "", before, false, false},
    {CC "DerivativeWorks", ODRL "use", "", before, false, false},
    {CC "Distribution", ODRL "use", "", before, false, false},
    {CC "Notice", ODRL "use", "", before, false, false},
    {CC "Reproduction", ODRL "use", "", before, false, false},
    {CC "ShareAlike", ODRL "use", "", before, false, false},
    {CC "Sharing", ODRL "use", "", before, false, false},
    {CC "SourceCode", ODRL "use", "", before, false, false},
    {TALLY "export", ODRL "reproduce", "", before, false, false},
    {TALLY "log", ODRL "use", "", with, true, false},
    {TALLY "maskKeep", ODRL "anonymize", "", with, true, false},
    {TALLY "pseudonymize", ODRL "anonymize", "", with, true, false},
    {TALLY "generalize", ODRL "anonymize", "", with, true, false},
    {TALLY "dropColumn", ODRL "anonymize", "", with, true, false},
    {TALLY "replaceValue", ODRL "anonymize", "", with, true, false},
    {TALLY "encrypt", ODRL "use", "", with, true, false},
    {TALLY "selectRows", ODRL "use", "", with, true, false},
    {TALLY "selectColumns", ODRL "use", "", with, true, false},
    {TALLY "limitRows", ODRL "use", "", with, true, false},
    {TALLY "limitGroups", ODRL "use", "", with, true, false},
    {IDS "LOG", ODRL "use", "", with, true, false},
    {IDS "REPLACE", ODRL "use", "", with, true, false},
    {IDS "DROP", ODRL "use", "", with, true, false},
    {IDS "HASH", ODRL "use", "", with, true, false},
    {IDS "ENCRYPT", ODRL "use", "", with, true, false},
    {IDS "ANONYMIZE", ODRL "use", "", with, true, false},
    {IDS "NOTIFY", ODRL "use", "", after, true, false},
    {IDS "MPC", ODRL "use", "", with, true, false},
    {ODRL "adHocShare", "", "", before, false, true},
    {ODRL "extractChar", "", "", before, false, true},
    {ODRL "extractPage", "", "", before, false, true},
    {ODRL "extractWord", "", "", before, false, true},
    {ODRL "lease", "", "", before, false, true},
    {ODRL "lend", "", "", before, false, true},
    {ODRL "preview", "", "", before, false, true},
    {ODRL "secondaryUse", "", "", before, false, true},
});

constexpr auto aliases = std::to_array<Alias>({
    {ODRL "append", ODRL "modify"},
    {ODRL "appendTo", ODRL "modify"},
    {ODRL "write", ODRL "modify"},
    {ODRL "writeTo", ODRL "modify"},
    {ODRL "copy", ODRL "reproduce"},
    {ODRL "pay", ODRL "compensate"},
    {ODRL "license", ODRL "grantUse"},
    {ODRL "export", ODRL "transform"},
    {ODRL "commercialize", CC "CommercialUse"},
    {ODRL "attachPolicy", CC "Notice"},
    {ODRL "attachSource", CC "SourceCode"},
    {ODRL "share", CC "Sharing"},
    {ODRL "shareAlike", CC "ShareAlike"},
    {TALLY "deleteAfter", ODRL "delete"},
    {TALLY "inform", ODRL "inform"},
});

// Eclipse EDC's. One form of its values is no xsd:dateTime (in_force_date.cpp).
constexpr auto other_operands = std::to_array<Alias>({
    {iri::in_force_date, ODRL "dateTime"},
});

// ODRL's 34 left operands, the profile's, and those of neighbouring vocabularies.
constexpr auto operands = std::to_array<OperandTerm>({
    // iri, kind, origin, role, every_value, ordered, security, enforced, vouchers, place, of_custody
    {ODRL "dateTime", ValueKind::instant, Origin::clock, OperandRole::condition, true, false, false, true, "measured"},
    {ODRL "count", ValueKind::integer, Origin::uses, OperandRole::condition, true, false, false, true, "measured"},
    {ODRL "purpose", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, true, "registration|asserted"},
    {ODRL "elapsedTime", ValueKind::duration, Origin::first_use, OperandRole::condition, true, false, false, true, "measured"},
    {TALLY "countedBy", ValueKind::name, Origin::given, OperandRole::modifier, true, false, false, true, ""},
    {ODRL "timeInterval", ValueKind::duration, Origin::last_use, OperandRole::condition, true, false, false, true, "measured"},
    {ODRL "delayPeriod", ValueKind::duration, Origin::last_use, OperandRole::condition, true, false, false, false, "measured"},
    {ODRL "meteredTime", ValueKind::duration, Origin::metered, OperandRole::condition, true, false, false, true, "measured"},
    {ODRL "event", ValueKind::name, Origin::event, OperandRole::condition, true, false, false, true, "measured|registration"},
    {ODRL "industry", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, false, "registration"},
    {ODRL "media", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, false, "registration"},
    {ODRL "product", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, false, "registration"},
    {ODRL "fileFormat", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, false, "registration"},
    {ODRL "version", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, false, "registration"},
    {ODRL "language", ValueKind::language, Origin::given, OperandRole::condition, true, false, false, false, "registration"},
    {ODRL "recipient", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, true, "certificate"},
    {ODRL "spatial", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, true, "registration"},
    {ODRL "spatialCoordinates", ValueKind::no_compare, Origin::given, OperandRole::condition, true, false, false, false, "registration|asserted"},
    {ODRL "virtualLocation", ValueKind::network, Origin::given, OperandRole::condition, true, false, false, true, "measured|registration"},
    {ODRL "systemDevice", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, true, "certificate|registration"},
    {ODRL "system", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, true, "certificate|registration"},
    {ODRL "device", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, true, "certificate|registration"},
    {ODRL "deliveryChannel", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, false, "measured|registration"},
    {ODRL "payAmount", ValueKind::decimal, Origin::given, OperandRole::condition, true, false, false, false, "registration"},
    {ODRL "percentage", ValueKind::decimal, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {ODRL "resolution", ValueKind::decimal, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {ODRL "absoluteSize", ValueKind::no_compare, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {ODRL "relativeSize", ValueKind::no_compare, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {ODRL "absolutePosition", ValueKind::no_compare, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {ODRL "absoluteSpatialPosition", ValueKind::no_compare, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {ODRL "absoluteTemporalPosition", ValueKind::no_compare, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {ODRL "relativePosition", ValueKind::no_compare, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {ODRL "relativeSpatialPosition", ValueKind::no_compare, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {ODRL "relativeTemporalPosition", ValueKind::no_compare, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {ODRL "unitOfCount", ValueKind::name, Origin::given, OperandRole::modifier, true, false, false, false, ""},
    {TALLY "application", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, true, "registration", Place::act, true},
    {TALLY "role", ValueKind::name, Origin::given, OperandRole::condition, false, false, false, true, "registration", Place::assignee, true},
    {TALLY "user", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, false, "registration|asserted"},
    {TALLY "connector", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, true, "certificate|registration"},
    {TALLY "securityLevel", ValueKind::name, Origin::given, OperandRole::condition, false, true, true, true, "registration"},
    {TALLY "classification", ValueKind::name, Origin::given, OperandRole::condition, false, true, false, true, "registration", Place::target},
    {TALLY "jurisdiction", ValueKind::name, Origin::given, OperandRole::condition, false, false, false, true, "certificate|registration", Place::assignee},
    {TALLY "environmentState", ValueKind::name, Origin::given, OperandRole::condition, false, false, false, true, "registration"},
    {TALLY "artifactState", ValueKind::name, Origin::given, OperandRole::condition, false, false, false, true, "measured", Place::act, true},
    {TALLY "frequency", ValueKind::rate, Origin::recent_uses, OperandRole::condition, true, false, false, true, "measured"},
    {TALLY "checkIn", ValueKind::duration, Origin::contact, OperandRole::condition, true, false, false, true, "measured"},
    {TALLY "witnessing", ValueKind::name, Origin::given, OperandRole::condition, false, false, false, true, "measured"},
    {TALLY "receiptBeforeKey", ValueKind::name, Origin::given, OperandRole::condition, false, false, false, true, "measured"},
    {TALLY "vouchedBy", ValueKind::name, Origin::given, OperandRole::modifier, true, false, false, true, ""},
    {TALLY "rowFilter", ValueKind::name, Origin::given, OperandRole::instruction, true, false, false, true, ""},
    {TALLY "columns", ValueKind::name, Origin::given, OperandRole::instruction, true, false, false, true, ""},
    {TALLY "maxRows", ValueKind::integer, Origin::given, OperandRole::instruction, true, false, false, true, ""},
    {TALLY "minGroupSize", ValueKind::integer, Origin::given, OperandRole::instruction, true, false, false, true, ""},
    {TALLY "functions", ValueKind::name, Origin::given, OperandRole::instruction, true, false, false, true, ""},
    {TALLY "cellBudget", ValueKind::integer, Origin::given, OperandRole::instruction, true, false, false, true, ""},
    {TALLY "column", ValueKind::name, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "jsonPath", ValueKind::name, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "keepHead", ValueKind::integer, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "keepTail", ValueKind::integer, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "keyName", ValueKind::name, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "level", ValueKind::name, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "replaceWith", ValueKind::any, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "logLevel", ValueKind::name, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "informedParty", ValueKind::name, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "consentingParty", ValueKind::name, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "compensatedParty", ValueKind::name, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "payAmount", ValueKind::decimal, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "currency", ValueKind::name, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "paidWithin", ValueKind::duration, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "onwardPolicy", ValueKind::any, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "technique", ValueKind::name, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {TALLY "retention", ValueKind::duration, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {IDS "CONNECTOR", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, true, "certificate|registration"},
    {IDS "APPLICATION", ValueKind::name, Origin::given, OperandRole::condition, true, false, false, true, "registration", Place::act, true},
    {IDS "ROLE", ValueKind::name, Origin::given, OperandRole::condition, false, false, false, true, "registration", Place::act, true},
    {IDS "STATE", ValueKind::name, Origin::given, OperandRole::condition, false, false, false, true, "registration"},
    {IDS "SECURITY_LEVEL", ValueKind::name, Origin::given, OperandRole::condition, false, true, true, true, "registration"},
    {IDS "ARTIFACT_STATE", ValueKind::name, Origin::given, OperandRole::condition, false, false, false, true, "measured", Place::act, true},
    {IDS "JSON_PATH", ValueKind::any, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {IDS "REPLACE_WITH", ValueKind::any, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {IDS "LOG_LEVEL", ValueKind::name, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {IDS "NOTIFICATION_LEVEL", ValueKind::name, Origin::given, OperandRole::parameter, true, false, false, false, ""},
    {VCARD "hasRole", ValueKind::name, Origin::given, OperandRole::condition, false, false, false, true, "registration", Place::act, true},
    {VCARD "hasGeo", ValueKind::name, Origin::given, OperandRole::condition, false, false, false, true, "certificate|registration"},
    {AXIS "absoluteSizeWidth", ValueKind::decimal, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {AXIS "absoluteSizeHeight", ValueKind::decimal, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {AXIS "absoluteSizeDepth", ValueKind::decimal, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
    {AXIS "spatialCoordinatesAltitude", ValueKind::decimal, Origin::given, OperandRole::condition, true, false, false, false, "measured"},
});
// clang-format on

#undef ODRL
#undef CC
#undef TALLY
#undef IDS
#undef VCARD
#undef AXIS

constexpr auto operators = std::to_array<std::string_view>({
    "eq",
    "neq",
    "lt",
    "lteq",
    "gt",
    "gteq",
    "isAnyOf",
    "isNoneOf",
    "isAllOf",
    "isA",
    "isPartOf",
    "hasPart",
});

template <class Id>
std::optional<Id> find_in(
    const std::unordered_map<std::string_view, Id>& ids, std::string_view name
) {
  const auto found =
      name.starts_with(iri::ids_code) ? ids.find(canonical_iri(std::string(name))) : ids.find(name);
  if (found == ids.end()) return std::nullopt;
  return found->second;
}

struct ActionTable {
  std::vector<std::string_view> names;
  std::array<std::int16_t, actions.size()> parents{};
  std::unordered_map<std::string_view, ActionId> ids;  // aliases included

  ActionTable() {
    for (std::size_t i = 0; i < actions.size(); ++i) {
      names.push_back(actions[i].iri);
      ids.emplace(actions[i].iri, static_cast<ActionId>(i));
    }
    for (const auto& alias : aliases) ids.emplace(alias.from, ids.at(alias.to));
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const auto at = std::ranges::find(names, actions[i].parent);
      parents[i] =
          at == names.end() ? std::int16_t{-1} : static_cast<std::int16_t>(at - names.begin());
    }
  }
};

const ActionTable& action_table() {
  static const ActionTable made;
  return made;
}

struct OperandTable {
  std::vector<std::string_view> names;
  std::vector<std::string_view> enforced;
  std::unordered_map<std::string_view, OperandId> ids;

  OperandTable() {
    for (std::size_t i = 0; i < operands.size(); ++i) {
      names.push_back(operands[i].iri);
      if (operands[i].enforced) enforced.push_back(operands[i].iri);
      ids.emplace(operands[i].iri, static_cast<OperandId>(i));
    }
    for (const auto& alias : other_operands) ids.emplace(alias.from, ids.at(alias.to));
  }
};

const OperandTable& operand_table() {
  static const OperandTable made;
  return made;
}

struct Bound {
  std::string_view operand;
  Operator op;
};
// What a parameter or an instruction is compared with besides eq; the others name lists.
constexpr auto bounds = std::to_array<Bound>({
    {iri::min_group_size, Operator::gteq},
    {iri::cell_budget, Operator::lteq},
    {iri::max_rows, Operator::lteq},
    {"urn:tally:profile:1#payAmount", Operator::gteq},
    {"urn:tally:profile:1#paidWithin", Operator::lteq},
    {"urn:tally:profile:1#retention", Operator::gteq},
    {iri::row_filter, Operator::is_all_of},
    {iri::row_filter, Operator::is_any_of},
});

// A parameter says how: what is excluded or compared otherwise would be done the wrong way round.
bool states_value(const OperandTerm& term, Operator op) {
  if (op == Operator::eq) return true;
  const auto of_term = [&](const Bound& one) { return one.operand == term.iri; };
  if (std::ranges::none_of(bounds, of_term)) {
    return op == Operator::is_any_of || op == Operator::is_all_of;
  }
  return std::ranges::any_of(bounds, [&](const Bound& one) {
    return of_term(one) && one.op == op;
  });
}

}  // namespace

std::string_view operator_word(Operator op) {
  return operators[static_cast<std::size_t>(op)];
}

std::optional<Operator> find_operator(std::string_view name) {
  if (name.starts_with(iri::odrl)) name.remove_prefix(iri::odrl.size());
  if (name == "neg") name = "neq";  // as a published context expands it
  const auto found = std::ranges::find(operators, name);
  if (found == operators.end()) return std::nullopt;
  return static_cast<Operator>(found - operators.begin());
}

std::span<const std::string_view> known_operators() {
  return operators;
}

bool takes_list(Operator op) {
  return op >= Operator::is_any_of;
}

bool orders(Operator op) {
  return op == Operator::lt || op == Operator::lteq || op == Operator::gt || op == Operator::gteq;
}

bool says_how(const OperandTerm& term) {
  return term.role == OperandRole::instruction ||
         (term.role == OperandRole::parameter && term.iri.starts_with(iri::profile_terms));
}

bool operator_fits(const OperandTerm& term, Operator op) {
  if (says_how(term)) return states_value(term, op);
  const bool taxonomic =
      op == Operator::is_a || op == Operator::is_part_of || op == Operator::has_part;
  switch (term.kind) {
    case ValueKind::name:
      return !orders(op) || term.ordered || term.origin == Origin::event;
    case ValueKind::language:
    case ValueKind::network:
      return !orders(op);
    case ValueKind::duration:
      return orders(op) || op == Operator::eq || op == Operator::neq;
    case ValueKind::rate:
      return op == Operator::lteq || op == Operator::eq;
    case ValueKind::instant:
    case ValueKind::integer:
    case ValueKind::decimal:
      return !taxonomic;
    case ValueKind::any:
    case ValueKind::no_compare:
      return true;
  }
  return false;
}

std::string_view to_string(ValueKind kind) {
  constexpr auto words = std::to_array<std::string_view>(
      {"dateTime",
       "duration",
       "integer",
       "decimal",
       "name",
       "language",
       "network",
       "rate",
       "any",
       "none"}
  );
  return words[static_cast<std::size_t>(kind)];
}

std::string_view to_string(Phase phase) {
  constexpr auto words = std::to_array<std::string_view>({"before", "with", "after"});
  return words[static_cast<std::size_t>(phase)];
}

std::span<const OperandTerm> known_operands() {
  return operands;
}
std::optional<OperandId> find_operand(std::string_view iri) {
  // As a published context expands "industry".
  if (iri == "http://www.w3.org/ns/odrl/2/industry:") iri.remove_suffix(1);
  return find_in(operand_table().ids, iri);
}
std::span<const std::string_view> operand_iris() {
  return operand_table().names;
}
std::span<const std::string_view> enforced_operand_iris() {
  return operand_table().enforced;
}

std::span<const ActionTerm> known_actions() {
  return actions;
}
std::span<const std::string_view> action_iris() {
  return action_table().names;
}
std::span<const std::string> enforced_duties() {
  // Each use is in the log before it takes effect; how long it stays there is `retention`.
  // What is paid for or consented to is confirmed (usage::DutyBook).
  // The others are done by who hands data out (dataplane::shape_duties).
  static const auto made = std::to_array<std::string>(
      {std::string(iri::delete_),
       std::string(iri::compensate),
       std::string(iri::obtain_consent),
       std::string(iri::log),
       std::string(iri::select_rows),
       std::string(iri::select_columns),
       std::string(iri::limit_rows),
       std::string(iri::drop_column),
       std::string(iri::mask_keep),
       std::string(iri::pseudonymize),
       std::string(iri::generalize),
       std::string(iri::replace_value),
       std::string(iri::ids_drop),
       std::string(iri::ids_hash),
       std::string(iri::ids_replace),
       std::string(iri::anonymize),
       std::string(iri::ids_anonymize),
       std::string(iri::next_policy),
       std::string(iri::inform),
       std::string(iri::ids_notify),
       std::string(iri::limit_groups)}
  );
  return made;
}
std::span<const std::string> enforced_duties_of(std::string_view action) {
  static const auto of_rows = [] {
    const auto all = enforced_duties();
    std::vector<std::string> out(all.begin(), all.end());
    std::erase(out, iri::limit_groups);
    return out;
  }();
  if (is_or_below(action, iri::aggregate)) return enforced_duties();
  return of_rows;
}
std::span<const Alias> action_aliases() {
  return aliases;
}

std::span<const Alias> operand_aliases() {
  return other_operands;
}

std::optional<ActionId> find_action(std::string_view name) {
  return find_in(action_table().ids, name);
}

std::string_view action_iri(ActionId action) {
  return actions[action].iri;
}

bool is_or_below(ActionId action, ActionId ancestor) {
  for (int at = action; at >= 0; at = action_table().parents[static_cast<std::size_t>(at)]) {
    if (at == ancestor) return true;
  }
  return false;
}

std::optional<std::string_view> canonical_action(std::string_view action) {
  const auto found = find_action(action);
  if (!found) return std::nullopt;
  return action_iri(*found);
}

bool is_or_below(std::string_view action, std::string_view ancestor) {
  const auto low = find_action(action);
  const auto high = find_action(ancestor);
  return low && high && is_or_below(*low, *high);
}

std::string canonical_iri(std::string iri) {
  if (!iri.starts_with(iri::ids_code)) return iri;
  for (auto at = iri::ids_code.size(); at < iri.size(); ++at) {
    if (iri[at] >= 'a' && iri[at] <= 'z') iri[at] = static_cast<char>(iri[at] - 'a' + 'A');
  }
  return iri;
}

std::string_view local_name(std::string_view iri) {
  const auto at = iri.find_last_of("#/:");
  if (at == std::string_view::npos || at + 1 == iri.size()) return iri;
  return iri.substr(at + 1);
}

std::string_view as_written(std::string_view iri) {
  return iri.starts_with(iri::odrl) ? iri.substr(iri::odrl.size()) : iri;
}

}  // namespace tally::odrl
