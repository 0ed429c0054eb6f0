// Members that the bodies of several commands have, and several answers. Errors: invalid, with the
// pointer.
#pragma once

#include <string>
#include <vector>

#include "tally/api/router.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"

namespace tally::api {

// {"peer": {"domain", "uri"}}
Result<PartyId> peer_member(const Json& body);
// A list of strings; absent: empty.
Result<std::vector<std::string>> texts_member(const Json& body, const std::string& key);
// What a person wrote for the other side to read, the body's `reason`; empty: no body, or nothing
// in it. At most 400 bytes (api.reason-too-long).
Result<std::string> said_reason(const Call& call, const Limits& limits);

// A message among the members of an answer, {"code", "params"}, gets its sentence; absent: nothing.
void tell(Json& item, const char* member, Lang lang);

}  // namespace tally::api
