// Registered applications, and what would be decided for one. Home executor only.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

awaitable<HttpResponse> get_apps(ManagementParts parts, Call& call);
// 201 with the application's token, which is shown this once. Problems: 400.
awaitable<HttpResponse> post_app(ManagementParts parts, Call& call);
// 204; its token ends. Problems: 404.
awaitable<HttpResponse> delete_app(ManagementParts parts, Call& call);
// What would be decided, without a use and without a record. Problems: 400, 404.

}  // namespace tally::api
