// What serves once the connector listens: private to its own files.
#pragma once

#include <memory>

#include "tally/api/router.hpp"
#include "tally/net/server.hpp"

#include "connector.hpp"

namespace tally::daemon {

struct Connector::Serving {
  std::unique_ptr<api::Router> peer_router;
  std::unique_ptr<api::Router> app_router;
  std::unique_ptr<api::Router> management_router;
  std::unique_ptr<net::Server> peers;
  std::unique_ptr<net::Server> apps;
  std::unique_ptr<net::Server> management;
};

}  // namespace tally::daemon
