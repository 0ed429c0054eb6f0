// The words of ODRL 2.2 and of the project's profile that this engine knows, the tree of actions,
// and which of the words it can enforce today.
//
// A word that is not here is refused when a policy is loaded, never skipped. Pure, immutable
// tables; any thread.
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
inline constexpr std::string_view core_profile = "http://www.w3.org/ns/odrl/2/core";
inline constexpr std::string_view profile = "urn:tally:profile:1";

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
inline constexpr std::string_view export_ = "urn:tally:profile:1#export";  // leaves our control

// Left operands.
inline constexpr std::string_view date_time = "http://www.w3.org/ns/odrl/2/dateTime";
inline constexpr std::string_view count = "http://www.w3.org/ns/odrl/2/count";
inline constexpr std::string_view purpose = "http://www.w3.org/ns/odrl/2/purpose";
inline constexpr std::string_view elapsed_time = "http://www.w3.org/ns/odrl/2/elapsedTime";
inline constexpr std::string_view delay_period = "http://www.w3.org/ns/odrl/2/delayPeriod";
inline constexpr std::string_view counted_by = "urn:tally:profile:1#countedBy";
}  // namespace iri

// The left operands that can be evaluated. `counted_by` and `delay_period` never reach the
// evaluator: the loader turns the first into the owner of a limit, the second into a deadline.
enum class Operand : std::uint8_t { date_time, count, purpose, elapsed_time };

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

std::string_view operand_iri(Operand operand);
std::string_view operand_word(Operand operand);  // "dateTime": as people know it
std::string_view operator_word(Operator op);     // "lteq": as it stands in JSON

// What a policy may say, as full IRIs (operators as bare words). For machine-readable lists and for
// "did you mean".
std::span<const std::string_view> known_operands();     // that are enforced
std::span<const std::string_view> reserved_operands();  // ODRL's others: known, refused
std::span<const std::string_view> known_operators();
std::span<const std::string_view> known_actions();

// The action's IRI with deprecated words replaced by their equivalents; nullopt for an unknown one.
std::optional<std::string_view> canonical_action(std::string_view action);
// True when `action` is `ancestor` or includedIn it, over any number of steps. Unknown ones: false.
bool is_or_below(std::string_view action, std::string_view ancestor);

// The last piece of an IRI, for sentences: "count" of "http://www.w3.org/ns/odrl/2/count".
std::string_view local_name(std::string_view iri);

}  // namespace tally::odrl
