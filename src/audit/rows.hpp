// What the store's rows about witnesses have in common. Pure; free functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"
#include "tally/core/result.hpp"
#include "tally/core/store.hpp"

namespace tally::audit {

inline tl::unexpected<Error> unreadable(const Row& row) {
  return fail(
      ErrorKind::internal, {"audit.witness-row-unreadable", {{"kind", row.kind}, {"id", row.id}}}
  );
}

// Empty: not there, or no string.
inline std::string text_of(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// A row's owner. Empty: a log or witness that the operator named.
inline std::string owner_text(const PartyId& party) {
  return party.empty() ? std::string() : to_string(party);
}
inline PartyId owner_of(const Row& row) {
  const auto bar = row.owner.find('|');
  if (bar == std::string::npos) return {};
  return {row.owner.substr(0, bar), row.owner.substr(bar + 1)};
}

}  // namespace tally::audit
