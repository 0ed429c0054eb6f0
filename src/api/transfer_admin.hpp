// What an operator orders of a transfer that runs: suspension, resumption, completion, termination.
// Home executor only.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

// Bodies may be left out; {"reason": "…"} of a suspension and a termination is told to the peer.
// 200 {"state"}: what the peer is being told. Problems: 404, 409 (it cannot be done in this state).
awaitable<HttpResponse> post_suspension(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_resumption(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_completion(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_transfer_termination(ManagementParts parts, Call& call);

}  // namespace tally::api
