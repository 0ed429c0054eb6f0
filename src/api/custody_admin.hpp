// The management routes of the custody.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

awaitable<HttpResponse> get_custody(std::shared_ptr<const ManagementApiParts> parts, Call& call);
awaitable<HttpResponse> post_custody_check(
    std::shared_ptr<const ManagementApiParts> parts, Call& call
);
awaitable<HttpResponse> post_artefact_check(
    std::shared_ptr<const ManagementApiParts> parts, Call& call
);
awaitable<HttpResponse> post_wrapping_key_rotation(
    std::shared_ptr<const ManagementApiParts> parts, Call& call
);

}  // namespace tally::api
