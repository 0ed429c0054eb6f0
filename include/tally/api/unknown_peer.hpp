// What somebody is answered whom a listener for peers does not know. The same bytes whether or not
// there is what was asked for: nobody learns anything before it is known who asks.
#pragma once

#include <optional>

#include "tally/api/router.hpp"

namespace tally::api {

// nullopt: the version document, which needs no credential (DSP 2025-1, 4.1). Otherwise: under the
// catalogue 401 with a CatalogError; under negotiations and transfers 404, as for a process that is
// unknown (6.2, 8.2: nothing is revealed to who may not see it); anywhere else 401 with a problem
// document that has `why`.
std::optional<HttpResponse> refuse_unknown_peer(const HttpRequest& request, const Message& why);

}  // namespace tally::api
