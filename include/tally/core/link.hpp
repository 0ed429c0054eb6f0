// Web links in headers (RFC 8288), as pages of a catalogue use them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tally/core/http.hpp"

namespace tally {

// "<target>; rel=\"relation\"".
std::string link_value(std::string_view target, std::string_view relation);

// The target of the first link with this relation, as it is written: absolute or relative. Reads
// several fields, several links in one, several relations in one `rel`; passes over what is
// malformed and over links that are not about the resource itself (`anchor`).
std::optional<std::string> find_link(const Headers& answer, std::string_view relation);

// `target` as an absolute URL, if it lies where `base` does: the same scheme, host and port.
// Understands absolute URLs, "/path?query" and "?query"; nullopt for the rest.
std::optional<std::string> same_origin_url(std::string_view base, std::string_view target);

}  // namespace tally
