// The words of ODRL 2.2, of the project's profile and of the neighbouring vocabularies that this
// engine knows: actions and their tree, left operands with the type of their value and who vouches
// for it, operators.
//
// A word that is not here is never skipped: where a policy is loaded to be enforced it is refused,
// where it is only evaluated it makes what it stands in unknown. Pure, immutable tables; any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tally::odrl {

namespace iri {
inline constexpr std::string_view odrl = "http://www.w3.org/ns/odrl/2/";
inline constexpr std::string_view cc = "http://creativecommons.org/ns#";
inline constexpr std::string_view xsd = "http://www.w3.org/2001/XMLSchema#";
inline constexpr std::string_view ids_code = "https://w3id.org/idsa/code/";
inline constexpr std::string_view core_profile = "http://www.w3.org/ns/odrl/2/core";
inline constexpr std::string_view profile = "urn:tally:profile:1";
inline constexpr std::string_view profile_terms = "urn:tally:profile:1#";

// Actions.
inline constexpr std::string_view use = "http://www.w3.org/ns/odrl/2/use";
inline constexpr std::string_view read = "http://www.w3.org/ns/odrl/2/read";
inline constexpr std::string_view archive = "http://www.w3.org/ns/odrl/2/archive";
inline constexpr std::string_view reproduce = "http://www.w3.org/ns/odrl/2/reproduce";
inline constexpr std::string_view distribute = "http://www.w3.org/ns/odrl/2/distribute";
inline constexpr std::string_view derive = "http://www.w3.org/ns/odrl/2/derive";
inline constexpr std::string_view aggregate = "http://www.w3.org/ns/odrl/2/aggregate";
inline constexpr std::string_view transfer = "http://www.w3.org/ns/odrl/2/transfer";
inline constexpr std::string_view delete_ = "http://www.w3.org/ns/odrl/2/delete";
inline constexpr std::string_view compensate = "http://www.w3.org/ns/odrl/2/compensate";
inline constexpr std::string_view obtain_consent = "http://www.w3.org/ns/odrl/2/obtainConsent";
inline constexpr std::string_view export_ = "urn:tally:profile:1#export";  // leaves our control
inline constexpr std::string_view select_rows = "urn:tally:profile:1#selectRows";
inline constexpr std::string_view limit_rows = "urn:tally:profile:1#limitRows";
inline constexpr std::string_view select_columns = "urn:tally:profile:1#selectColumns";
inline constexpr std::string_view mask_keep = "urn:tally:profile:1#maskKeep";
inline constexpr std::string_view pseudonymize = "urn:tally:profile:1#pseudonymize";
inline constexpr std::string_view generalize = "urn:tally:profile:1#generalize";
inline constexpr std::string_view drop_column = "urn:tally:profile:1#dropColumn";
inline constexpr std::string_view replace_value = "urn:tally:profile:1#replaceValue";
inline constexpr std::string_view limit_groups = "urn:tally:profile:1#limitGroups";
inline constexpr std::string_view ids_drop = "https://w3id.org/idsa/code/DROP";
inline constexpr std::string_view ids_hash = "https://w3id.org/idsa/code/HASH";
inline constexpr std::string_view ids_replace = "https://w3id.org/idsa/code/REPLACE";
inline constexpr std::string_view inform = "http://www.w3.org/ns/odrl/2/inform";
inline constexpr std::string_view ids_notify = "https://w3id.org/idsa/code/NOTIFY";
inline constexpr std::string_view anonymize = "http://www.w3.org/ns/odrl/2/anonymize";
inline constexpr std::string_view ids_anonymize = "https://w3id.org/idsa/code/ANONYMIZE";
inline constexpr std::string_view next_policy = "http://www.w3.org/ns/odrl/2/nextPolicy";

// Left operands.
inline constexpr std::string_view date_time = "http://www.w3.org/ns/odrl/2/dateTime";
inline constexpr std::string_view count = "http://www.w3.org/ns/odrl/2/count";
inline constexpr std::string_view purpose = "http://www.w3.org/ns/odrl/2/purpose";
inline constexpr std::string_view elapsed_time = "http://www.w3.org/ns/odrl/2/elapsedTime";
inline constexpr std::string_view metered_time = "http://www.w3.org/ns/odrl/2/meteredTime";
inline constexpr std::string_view delay_period = "http://www.w3.org/ns/odrl/2/delayPeriod";
inline constexpr std::string_view time_interval = "http://www.w3.org/ns/odrl/2/timeInterval";
inline constexpr std::string_view pay_amount = "http://www.w3.org/ns/odrl/2/payAmount";
inline constexpr std::string_view event = "http://www.w3.org/ns/odrl/2/event";
inline constexpr std::string_view policy_usage = "http://www.w3.org/ns/odrl/2/policyUsage";
inline constexpr std::string_view frequency = "urn:tally:profile:1#frequency";
inline constexpr std::string_view check_in = "urn:tally:profile:1#checkIn";
inline constexpr std::string_view application = "urn:tally:profile:1#application";
inline constexpr std::string_view role = "urn:tally:profile:1#role";
inline constexpr std::string_view connector = "urn:tally:profile:1#connector";
inline constexpr std::string_view security_level = "urn:tally:profile:1#securityLevel";
inline constexpr std::string_view classification = "urn:tally:profile:1#classification";
inline constexpr std::string_view jurisdiction = "urn:tally:profile:1#jurisdiction";
inline constexpr std::string_view environment_state = "urn:tally:profile:1#environmentState";
inline constexpr std::string_view artifact_state = "urn:tally:profile:1#artifactState";
inline constexpr std::string_view recipient = "http://www.w3.org/ns/odrl/2/recipient";
inline constexpr std::string_view spatial = "http://www.w3.org/ns/odrl/2/spatial";
inline constexpr std::string_view virtual_location = "http://www.w3.org/ns/odrl/2/virtualLocation";
inline constexpr std::string_view system_device = "http://www.w3.org/ns/odrl/2/systemDevice";
inline constexpr std::string_view counted_by = "urn:tally:profile:1#countedBy";
inline constexpr std::string_view witnessing = "urn:tally:profile:1#witnessing";
inline constexpr std::string_view log = "urn:tally:profile:1#log";
inline constexpr std::string_view retention = "urn:tally:profile:1#retention";
inline constexpr std::string_view receipt_before_key = "urn:tally:profile:1#receiptBeforeKey";
inline constexpr std::string_view vouched_by = "urn:tally:profile:1#vouchedBy";
// How rows and columns are handed out, and values masked.
inline constexpr std::string_view row_filter = "urn:tally:profile:1#rowFilter";
inline constexpr std::string_view max_rows = "urn:tally:profile:1#maxRows";
inline constexpr std::string_view columns = "urn:tally:profile:1#columns";
inline constexpr std::string_view column = "urn:tally:profile:1#column";
inline constexpr std::string_view json_path = "urn:tally:profile:1#jsonPath";
inline constexpr std::string_view keep_head = "urn:tally:profile:1#keepHead";
inline constexpr std::string_view keep_tail = "urn:tally:profile:1#keepTail";
inline constexpr std::string_view key_name = "urn:tally:profile:1#keyName";
inline constexpr std::string_view level = "urn:tally:profile:1#level";
inline constexpr std::string_view replace_with = "urn:tally:profile:1#replaceWith";
inline constexpr std::string_view technique = "urn:tally:profile:1#technique";
// Of the duties `inform` and `nextPolicy`.
inline constexpr std::string_view informed_party = "urn:tally:profile:1#informedParty";
inline constexpr std::string_view notification_level =
    "https://w3id.org/idsa/code/NOTIFICATION_LEVEL";
inline constexpr std::string_view onward_policy = "urn:tally:profile:1#onwardPolicy";
// What is handed out of groups of rows (docs/aggregates.md).
inline constexpr std::string_view min_group_size = "urn:tally:profile:1#minGroupSize";
inline constexpr std::string_view functions = "urn:tally:profile:1#functions";
inline constexpr std::string_view cell_budget = "urn:tally:profile:1#cellBudget";
// Eclipse EDC's word for dateTime (operand_aliases).
inline constexpr std::string_view in_force_date = "https://w3id.org/edc/v0.0.1/ns/inForceDate";
}  // namespace iri

// Values of `technique` (docs/shapes.md, "Anonymized").
inline constexpr std::string_view suppression = "suppression";
inline constexpr std::string_view aggregation = "aggregation";

// The one word that receiptBeforeKey is compared with.
inline constexpr std::string_view required_word = "required";

enum class Operator : std::uint8_t {
  eq,
  neq,
  lt,
  lteq,
  gt,
  gteq,
  is_any_of,
  is_none_of,
  is_all_of,
  is_a,
  is_part_of,
  has_part,
};

std::string_view operator_word(Operator op);                   // "lteq": as it stands in JSON
std::optional<Operator> find_operator(std::string_view name);  // bare word or IRI, with the typos
                                                               // of published contexts
std::span<const std::string_view> known_operators();           // bare words
bool takes_list(Operator op);                                  // isAnyOf, isNoneOf, isAllOf, …
bool orders(Operator op);                                      // lt, lteq, gt, gteq

// How a right operand is read and compared (docs/odrl-profile.md, "Values").
enum class ValueKind : std::uint8_t {
  instant,    // xsd:date, dateTime, dateTimeStamp
  duration,   // xsd:duration and its two halves
  integer,    // a number without a fraction
  decimal,    // a number, exact
  name,       // an IRI or a word
  language,   // a tag of BCP 47
  network,    // an address, a range of addresses or a domain
  rate,       // "100/P1D": at most so many in any window of that length
  any,        // whatever its literal says it is
  no_compare  // ODRL gives it no single form: registered, and never decidable
};
std::string_view to_string(ValueKind kind);

// Where the value of an operand comes from.
enum class Origin : std::uint8_t {
  clock,        // the one reading of the decision
  uses,         // uses of the rule so far, this one included
  first_use,    // time since the rule was first used
  last_use,     // time since the rule was last used
  metered,      // the sum of sessions under the rule
  recent_uses,  // uses within a sliding window
  contact,      // time since the provider was last reached
  event,        // what the world says of an event
  given,        // a fact: measured, an attribute, or declared
};

// What a constraint with this operand is for.
enum class OperandRole : std::uint8_t {
  condition,    // true, false or unknown
  modifier,     // changes how its neighbours are read: countedBy, vouchedBy, unitOfCount
  parameter,    // says how a duty is done
  instruction,  // narrows what is handed out; becomes an obligation of phase `with`
};

// Where a term of the profile belongs that the messages of DSP can only carry among the constraints
// (docs/odrl-profile.md, "Lowering"): a parameter and an instruction always belong to the action.
enum class Place : std::uint8_t { act, target, assignee };

struct OperandTerm {
  std::string_view iri;
  ValueKind kind = ValueKind::any;
  Origin origin = Origin::given;
  OperandRole role = OperandRole::condition;
  bool every_value = true;    // several values: each has to satisfy (declared intent), else one
  bool ordered = false;       // lt … gteq along the taxonomy: narrower is higher
  bool security = false;      // an attribute counts only from a verified credential or measured
  bool enforced = false;      // the connector can enforce it today
  std::string_view vouchers;  // "measured", "certificate|registration", …: docs "Who vouches"
  Place place = Place::act;   // whose attribute it is, when it stands among the constraints
  // Of what custody holds and who works with it: whoever fills the custody is not asked for it, and
  // the side that holds it is, with each use.
  bool of_custody = false;
};

// It says how an act is done, rather than whether it may be.
bool says_how(const OperandTerm& term);
// Whether an operator makes sense of the values of an operand. What does not is unknown, never a
// guess.
bool operator_fits(const OperandTerm& term, Operator op);

using OperandId = std::uint16_t;  // index into known_operands()

std::span<const OperandTerm> known_operands();
std::optional<OperandId> find_operand(std::string_view iri);
// IRIs, for "did you mean".
std::span<const std::string_view> operand_iris();
std::span<const std::string_view> enforced_operand_iris();

enum class Phase : std::uint8_t { before, with, after };
std::string_view to_string(Phase phase);

struct ActionTerm {
  std::string_view iri;
  std::string_view parent;      // includedIn; empty: a root
  std::string_view implies;     // permitting this says that that one is not prohibited
  Phase phase = Phase::before;  // when a duty of this action is due if nothing says otherwise
  bool carried_out = false;     // by the enforcer itself; else a person or another system does
  bool deprecated = false;      // without a successor: matches only itself
};

using ActionId = std::uint8_t;  // index into known_actions()

std::span<const ActionTerm> known_actions();
std::span<const std::string_view> action_iris();
std::optional<ActionId> find_action(std::string_view name);  // full IRI; aliases are replaced
bool is_or_below(ActionId action, ActionId ancestor);
std::string_view action_iri(ActionId action);

struct Alias {
  std::string_view from;
  std::string_view to;
};
// Duties that the connector carries out today: what `usage` and the loader hold policies against.
std::span<const std::string> enforced_duties();
// Those of them that an act of this action can be done with: groups are limited where only groups
// leave, and rows that leave whole are in none.
std::span<const std::string> enforced_duties_of(std::string_view action);
std::span<const Alias> action_aliases();  // deprecated words with an exact equivalent
// Words of other vocabularies for an operand of ours; `find_operand` knows them.
std::span<const Alias> operand_aliases();

// The action's IRI with deprecated words replaced by their equivalents; nullopt for an unknown one.
std::optional<std::string_view> canonical_action(std::string_view action);
// True when `action` is `ancestor` or includedIn it, over any number of steps. Unknown ones: false.
bool is_or_below(std::string_view action, std::string_view ancestor);

// An IRI as this engine compares it: the IDS codes are met in both cases (idsc:log, idsc:LOG) and
// are one word, upper case here. Of all others nothing is changed.
std::string canonical_iri(std::string iri);

// The last piece of an IRI, for sentences: "count" of "http://www.w3.org/ns/odrl/2/count".
std::string_view local_name(std::string_view iri);
// How a term is best written: ODRL's as a bare word, others as full IRIs.
std::string_view as_written(std::string_view iri);

}  // namespace tally::odrl
