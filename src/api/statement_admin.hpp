// What an operator asks the other side of an agreement. Home executor only.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

// Its signed statements and the list of its records from `?from=` on, with what does not fit in
// them. Problems: 404, 409 (it cannot be asked, or contradicts what is held), 503 (no answer).
awaitable<HttpResponse> post_statement_inquiry(ManagementParts parts, Call& call);

}  // namespace tally::api
