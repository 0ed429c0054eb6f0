#include "tally/odrl/terms.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <unordered_map>

#include "vocabulary.hpp"

namespace tally::odrl {
namespace {

#define ODRL "http://www.w3.org/ns/odrl/2/"
#define CC "http://creativecommons.org/ns#"

struct ActionRow {
  std::string_view name;
  std::string_view parent;  // empty: a root
};

// The tree of ODRL 2.2 (Vocabulary, section 4), Creative Commons' actions and the profile's. The
// last block is deprecated without an equivalent: roots, which only match themselves.
constexpr auto actions = std::to_array<ActionRow>({
    {ODRL "use", ""},
    {ODRL "transfer", ""},
    {ODRL "acceptTracking", ODRL "use"},
    {ODRL "aggregate", ODRL "use"},
    {ODRL "annotate", ODRL "use"},
    {ODRL "anonymize", ODRL "use"},
    {ODRL "archive", ODRL "use"},
    {ODRL "attribute", ODRL "use"},
    {ODRL "compensate", ODRL "use"},
    {ODRL "concurrentUse", ODRL "use"},
    {ODRL "delete", ODRL "use"},
    {ODRL "derive", ODRL "use"},
    {ODRL "digitize", ODRL "use"},
    {ODRL "display", ODRL "play"},
    {ODRL "distribute", ODRL "use"},
    {ODRL "ensureExclusivity", ODRL "use"},
    {ODRL "execute", ODRL "use"},
    {ODRL "extract", ODRL "reproduce"},
    {ODRL "give", ODRL "transfer"},
    {ODRL "grantUse", ODRL "use"},
    {ODRL "include", ODRL "use"},
    {ODRL "index", ODRL "use"},
    {ODRL "inform", ODRL "use"},
    {ODRL "install", ODRL "use"},
    {ODRL "modify", ODRL "use"},
    {ODRL "move", ODRL "use"},
    {ODRL "nextPolicy", ODRL "use"},
    {ODRL "obtainConsent", ODRL "use"},
    {ODRL "play", ODRL "use"},
    {ODRL "present", ODRL "use"},
    {ODRL "print", ODRL "use"},
    {ODRL "read", ODRL "use"},
    {ODRL "reproduce", ODRL "use"},
    {ODRL "reviewPolicy", ODRL "use"},
    {ODRL "sell", ODRL "transfer"},
    {ODRL "stream", ODRL "use"},
    {ODRL "synchronize", ODRL "use"},
    {ODRL "textToSpeech", ODRL "use"},
    {ODRL "transform", ODRL "use"},
    {ODRL "translate", ODRL "use"},
    {ODRL "uninstall", ODRL "use"},
    {ODRL "watermark", ODRL "use"},
    {CC "Attribution", ODRL "use"},
    {CC "CommercialUse", ODRL "use"},
    {CC "DerivativeWorks", ODRL "use"},
    {CC "Distribution", ODRL "use"},
    {CC "Notice", ODRL "use"},
    {CC "Reproduction", ODRL "use"},
    {CC "ShareAlike", ODRL "use"},
    {CC "Sharing", ODRL "use"},
    {CC "SourceCode", ODRL "use"},
    {"urn:tally:profile:1#export", ODRL "reproduce"},
    {ODRL "adHocShare", ""},
    {ODRL "extractChar", ""},
    {ODRL "extractPage", ""},
    {ODRL "extractWord", ""},
    {ODRL "lease", ""},
    {ODRL "lend", ""},
    {ODRL "preview", ""},
    {ODRL "secondaryUse", ""},
});
constexpr std::size_t first_deprecated_root = actions.size() - 8;
static_assert(actions[first_deprecated_root].name == ODRL "adHocShare");

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
});

constexpr auto operands = std::to_array<std::string_view>({
    iri::date_time,
    iri::count,
    iri::purpose,
    iri::elapsed_time,
    iri::counted_by,
});

// ODRL's other left operands. Refused with a sentence of their own, since the author spelt them
// well.
constexpr auto reserved = std::to_array<std::string_view>({
    ODRL "absolutePosition",
    ODRL "absoluteSize",
    ODRL "absoluteSpatialPosition",
    ODRL "absoluteTemporalPosition",
    ODRL "delayPeriod",
    ODRL "deliveryChannel",
    ODRL "device",
    ODRL "event",
    ODRL "fileFormat",
    ODRL "industry",
    ODRL "language",
    ODRL "media",
    ODRL "meteredTime",
    ODRL "payAmount",
    ODRL "percentage",
    ODRL "product",
    ODRL "recipient",
    ODRL "relativePosition",
    ODRL "relativeSize",
    ODRL "relativeSpatialPosition",
    ODRL "relativeTemporalPosition",
    ODRL "resolution",
    ODRL "spatial",
    ODRL "spatialCoordinates",
    ODRL "system",
    ODRL "systemDevice",
    ODRL "timeInterval",
    ODRL "unitOfCount",
    ODRL "version",
    ODRL "virtualLocation",
});

#undef ODRL
#undef CC

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

struct ActionTable {
  std::array<std::string_view, actions.size()> names;
  std::array<std::int16_t, actions.size()> parents;
  std::unordered_map<std::string_view, ActionId> ids;  // aliases included

  ActionTable() {
    for (std::size_t i = 0; i < actions.size(); ++i) {
      names[i] = actions[i].name;
      ids.emplace(actions[i].name, static_cast<ActionId>(i));
    }
    for (const auto& alias : aliases) ids.emplace(alias.from, ids.at(alias.to));
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const auto at = std::ranges::find(names, actions[i].parent);
      parents[i] =
          at == names.end() ? std::int16_t{-1} : static_cast<std::int16_t>(at - names.begin());
    }
  }
};

const ActionTable& table() {
  static const ActionTable made;
  return made;
}

}  // namespace

std::string_view operand_iri(Operand operand) {
  return operands[static_cast<std::size_t>(operand)];
}

std::string_view operand_word(Operand operand) {
  return local_name(operand_iri(operand));
}

std::string_view operator_word(Operator op) {
  return operators[static_cast<std::size_t>(op)];
}

std::span<const std::string_view> known_operands() {
  return operands;
}
std::span<const std::string_view> reserved_operands() {
  return reserved;
}
std::span<const std::string_view> known_operators() {
  return operators;
}
std::span<const std::string_view> known_actions() {
  return table().names;
}
std::span<const Alias> action_aliases() {
  return aliases;
}

std::optional<ActionId> find_action(std::string_view name) {
  const auto& ids = table().ids;
  const auto found = ids.find(name);
  if (found == ids.end()) return std::nullopt;
  return found->second;
}

std::string_view action_iri(ActionId action) {
  return table().names[action];
}

bool is_deprecated_root(ActionId action) {
  return action >= first_deprecated_root;
}

bool is_or_below(ActionId action, ActionId ancestor) {
  for (int at = action; at >= 0; at = table().parents[static_cast<std::size_t>(at)]) {
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

std::string_view local_name(std::string_view iri) {
  const auto at = iri.find_last_of("#/:");
  if (at == std::string_view::npos || at + 1 == iri.size()) return iri;
  return iri.substr(at + 1);
}

}  // namespace tally::odrl
