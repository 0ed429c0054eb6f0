// What serves once the connector listens: private to its own files.
#pragma once

#include <memory>
#include <optional>

#include "tally/api/call_limits.hpp"
#include "tally/api/provider_call.hpp"
#include "tally/api/router.hpp"
#include "tally/net/server.hpp"

#include "connector.hpp"

namespace tally::daemon {

struct Connector::Serving {
  Serving(const CallRates& rates, api::LimitedCalls& refusals);

  RateLimiter failed_tokens;  // of all listeners
  api::CallLimits peer_limits;
  api::CallLimits app_limits;
  api::CallLimits management_limits;
  std::optional<api::ProviderCallParts> provider_calls;  // of the applications' routes
  std::unique_ptr<api::Router> peer_router;
  std::unique_ptr<api::Router> app_router;
  std::unique_ptr<api::Router> management_router;
  std::unique_ptr<net::Server> peers;             // null: no listener for certificates
  std::unique_ptr<net::Server> credential_peers;  // null: none for credentials
  std::unique_ptr<net::Server> apps;
  std::unique_ptr<net::Server> management;
};

}  // namespace tally::daemon
