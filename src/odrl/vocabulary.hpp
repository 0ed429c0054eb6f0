// The tables of terms.hpp as the loader and the evaluator use them: actions as small numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "tally/odrl/terms.hpp"

namespace tally::odrl {

using ActionId = std::uint8_t;  // index into known_actions()

struct Alias {
  std::string_view from;
  std::string_view to;
};

std::span<const Alias> action_aliases();
std::optional<ActionId> find_action(std::string_view name);  // aliases included
std::string_view action_iri(ActionId action);
bool is_or_below(ActionId action, ActionId ancestor);
// Deprecated without an equivalent: matches only itself.
bool is_deprecated_root(ActionId action);

}  // namespace tally::odrl
