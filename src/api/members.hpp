// Members that the bodies of several commands have. Errors: invalid, with the pointer.
#pragma once

#include <string>
#include <vector>

#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"

namespace tally::api {

// {"peer": {"domain", "uri"}}
Result<PartyId> peer_member(const Json& body);
// A list of strings; absent: empty.
Result<std::vector<std::string>> texts_member(const Json& body, const std::string& key);
// What a person wrote for others to read; absent: empty. At most 400 bytes.
Result<std::string> said_member(const Json& body, const std::string& key);

}  // namespace tally::api
