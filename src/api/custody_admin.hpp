// The management routes of the custody.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

// What is, or was, held: `?state=`, `?owner=` (an agreement). Paged.
awaitable<HttpResponse> get_artefacts(ManagementParts parts, Call& call);
awaitable<HttpResponse> get_custody(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_custody_check(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_artefact_check(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_wrapping_key_rotation(ManagementParts parts, Call& call);

}  // namespace tally::api
