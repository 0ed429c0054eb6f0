// The dry run: what the enforcement point would answer to an act of an application or of a peer.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

// Nothing is counted or recorded. The act is made as the real call makes it, and the answer says
// what that call would say: status, code, reasons, and what is left.
awaitable<HttpResponse> post_decision(ManagementParts parts, Call& call);

}  // namespace tally::api
