// Errors in the protocol's own shape: CatalogError, ContractNegotiationError, TransferError.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/message.hpp"
#include "tally/core/result.hpp"
#include "tally/dsp/state_machine.hpp"

namespace tally::dsp {

enum class Family { catalog, negotiation, transfer };

// What stands for a pid that nobody knows, since the schemas require both.
inline constexpr std::string_view null_pid = "urn:uuid:00000000-0000-0000-0000-000000000000";

// Empty = not known.
struct KnownPids {
  Pid provider;
  Pid consumer;
};

// The pids that `body` (any JSON, perhaps not even an object) names as strings; where it names
// none, the receiver's own is taken from the path (`own`, the pid of the side `host`).
KnownPids known_pids(const Json& body, Role host, const Pid& own = {});

// The body of an answer with `status`. `code` is the status as text, since peers read it so; the
// one reason is "code: sentence (pointer)" in English.
Json error_body(
    Family family,
    int status,
    const Message& message,
    const KnownPids& pids = {},
    std::string_view pointer = {}
);

// The status of an error on the protocol's endpoints: 401 and 403 are 404 for negotiations and
// transfers, so that nobody learns that they exist; a conflict is 400, never 409.
int status_of(ErrorKind kind, Family family);
Json error_body(Family family, const Error& error, const KnownPids& pids = {});

// A reason list of a peer as one line that a person can read: strings as they are, other values as
// JSON, at most 500 bytes of it.
std::string reason_text(const std::vector<Json>& reason);

}  // namespace tally::dsp
