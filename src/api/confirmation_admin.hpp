// Duties that are confirmed, as an operator sees, confirms, withdraws and asks for them. Home
// executor only.
#pragma once

#include <memory>

#include "tally/api/data_routes.hpp"
#include "tally/api/management_routes.hpp"

namespace tally::api {

// {"items": duties, each with its confirmations}. Problems: 404.
awaitable<HttpResponse> get_duties(ManagementParts parts, Call& call);
// {"duty", "reference", "at"}; 201 {"duty", "confirmation", "at", "told"}. Problems: 400, 403 (this
// side is not the provider), 404, 409.
awaitable<HttpResponse> post_confirmation(ManagementParts parts, Call& call);
// {"reference"} or {"confirmation"}; 200 {"items"}: what was withdrawn now. Problems: 403, 404.
awaitable<HttpResponse> post_withdrawal(ManagementParts parts, Call& call);
// {"duty", "reason"}; 202 {"request", "duty", "since"}. Problems: 400, 403 (this side is not the
// consumer), 404, 409.
awaitable<HttpResponse> post_consent_request(ManagementParts parts, Call& call);

// The same by an application, of an agreement that it may use.
awaitable<HttpResponse> post_consent_request_of_app(
    std::shared_ptr<const AppApiParts> parts, Call& call
);

}  // namespace tally::api
