// What waits for a person's decision, and the decisions. Home executor only.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

awaitable<HttpResponse> get_approvals(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_approve(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_reject(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_counter(ManagementParts parts, Call& call);

}  // namespace tally::api
