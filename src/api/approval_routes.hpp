// What waits for a person's decision, and the decisions. Home executor only.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

awaitable<HttpResponse> get_approvals(std::shared_ptr<const ManagementApiParts> parts, Call& call);
awaitable<HttpResponse> post_approve(std::shared_ptr<const ManagementApiParts> parts, Call& call);
awaitable<HttpResponse> post_reject(std::shared_ptr<const ManagementApiParts> parts, Call& call);
awaitable<HttpResponse> post_counter(std::shared_ptr<const ManagementApiParts> parts, Call& call);

}  // namespace tally::api
