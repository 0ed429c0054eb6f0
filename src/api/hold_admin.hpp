// Holds as an operator places, lifts and sees them, orders of regulators that an operator brings,
// and the suspension and resumption of agreements. Home executor only.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

// Those in force; `?state=lifted`: those that are over. Paged.
awaitable<HttpResponse> get_holds(ManagementParts parts, Call& call);
// 201 with the hold, also where one of that id stands and says the same. Problems: 400, 404 (no
// such agreement), 409 (the id stands for something else).
awaitable<HttpResponse> post_hold(ManagementParts parts, Call& call);
// 200 {"state": "lifted"}. Problems: 403 (another placed it), 404.
awaitable<HttpResponse> post_hold_lift(ManagementParts parts, Call& call);
// {"order": a signed note}; 200 {"id", "state"}. Problems: 400 (not signed by a configured key, or
// for another), 404, 409 (an older one).
awaitable<HttpResponse> post_hold_order(ManagementParts parts, Call& call);

// 200 {"state"}. Problems: 404, 409 (it is over).
awaitable<HttpResponse> post_agreement_suspension(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_agreement_resumption(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_agreement_termination(ManagementParts parts, Call& call);

}  // namespace tally::api
