// A read of data that the provider serves itself: the local connector decides for its application,
// asks the provider, and hands on what it answers. Home executor.
#pragma once

#include <memory>
#include <optional>

#include "tally/api/data_routes.hpp"

namespace tally::api {

// nullopt: nothing is called under this agreement, so that what is not held is not there. The
// answer is at most 8 MiB.
awaitable<std::optional<HttpResponse>> pass_on_read(
    std::shared_ptr<const AppApiParts> parts, Call& call, usage::App app, AgreementId agreement
);

}  // namespace tally::api
