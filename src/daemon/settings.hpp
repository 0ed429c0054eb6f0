// The settings of tally.json by name, so that a reload can say which of them changed and which of
// those it took up. Digests alone: some settings are secrets.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/core/json.hpp"

namespace tally::daemon {

// By the names of docs/configuration.md; a list is one setting ("peers", "limits.connections").
using Settings = std::map<std::string, Digest>;
Settings settings_of(const Json& document);

// Those that are in one alone, or differ.
std::vector<std::string> differing(const Settings& before, const Settings& now);

// Whether a reload takes it up; everything else needs a restart.
bool is_reloaded(std::string_view setting);

}  // namespace tally::daemon
