// What serves once the connector listens: private to its own files.
#pragma once

#include <memory>
#include <optional>

#include "tally/api/provider_call.hpp"
#include "tally/api/router.hpp"
#include "tally/net/server.hpp"

#include "connector.hpp"

namespace tally::daemon {

struct Connector::Serving {
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
