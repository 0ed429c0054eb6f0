// One received request as a service takes it, and its answer. The routes of `api` only copy.
#pragma once

#include <string>

#include "tally/core/http.hpp"
#include "tally/identity/peer_identity.hpp"

namespace tally::negotiation {

struct Received {
  identity::PeerIdentity caller;
  HttpRequest request;  // body unparsed: what is signed is parsed strictly, by the service
  std::string own_pid;  // from the path, decoded; empty where the path has none
};

struct HttpAnswer {
  int status = 200;
  std::string body;  // JSON; empty: none. Text, since a repeat gets the very same bytes
};

}  // namespace tally::negotiation
