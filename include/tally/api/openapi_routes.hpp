// GET /openapi.json: what a listener serves, described in OpenAPI 3.1. The descriptions stand in
// src/api/openapi and are part of the program; they hold nothing of this connector, so that nobody
// needs a token to read them.
#pragma once

#include <vector>

#include "tally/api/router.hpp"

namespace tally::api {

std::vector<Route> management_openapi_routes();
std::vector<Route> app_openapi_routes();

}  // namespace tally::api
