// Routes of the management API about what changed.
#pragma once

#include <memory>

#include "tally/api/management_routes.hpp"

namespace tally::api {

// The stream of events; docs/events.md.
awaitable<HttpResponse> get_events(ManagementParts parts, Call& call);

// How far those are that are told of events.
awaitable<HttpResponse> get_webhooks(ManagementParts parts, Call& call);

}  // namespace tally::api
