// GET /api/v1/my-agreements on the application port: what this application may use, and how often.
#pragma once

#include <memory>

#include "tally/api/data_routes.hpp"

namespace tally::api {

awaitable<HttpResponse> get_my_agreements(std::shared_ptr<const AppApiParts> parts, Call& call);

}  // namespace tally::api
