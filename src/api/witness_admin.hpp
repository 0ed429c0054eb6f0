// How logs are witnessed, ours by others and theirs here, as an operator sees it; and the one act
// on it, lifting what stands against a partner's log. Home executor only.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

awaitable<HttpResponse> get_witness(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_lift(ManagementParts parts, Call& call);

}  // namespace tally::api
