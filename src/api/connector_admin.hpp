// The connector as a whole: how it is, and what an operator orders of it, its log, its clock and
// the facts about persons beside the log. Home executor only, but for get_ready: any thread.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

// 503 where a check is not good; each says why.
awaitable<HttpResponse> get_ready(ManagementParts parts, Call& call);
awaitable<HttpResponse> get_metrics(ManagementParts parts, Call& call);

// Problems of these: those of Connector's function for each, and 400 for the body.
awaitable<HttpResponse> post_reload(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_log_key_rotation(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_log_pruning(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_backup(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_clock(ManagementParts parts, Call& call);
awaitable<HttpResponse> post_erasure(ManagementParts parts, Call& call);
awaitable<HttpResponse> get_opening(ManagementParts parts, Call& call);

}  // namespace tally::api
