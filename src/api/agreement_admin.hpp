// Agreements as the management API shows them. Home executor only.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

// `?state=` is the one shown: "suspended" is active and held on the agreement's own account, so a
// page of either may have fewer. Paged.
awaitable<HttpResponse> get_agreements(ManagementParts parts, Call& call);
// With the policy. Problems: 404.
awaitable<HttpResponse> get_agreement(ManagementParts parts, Call& call);
// What the log tells of it, in order. Problems: 404.
awaitable<HttpResponse> get_history(ManagementParts parts, Call& call);
// Who was told of uses under it, who still is to be, and what we were told. Problems: 404.
awaitable<HttpResponse> get_use_notices(ManagementParts parts, Call& call);

}  // namespace tally::api
