// How an operator begins and ends a negotiation, in both roles, and brings an agreement that was
// made elsewhere. Home executor only.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

awaitable<HttpResponse> post_negotiation(ManagementParts parts, Call& call);
awaitable<HttpResponse> terminate_negotiation(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_agreement(ManagementParts parts, Call& call);

}  // namespace tally::api
