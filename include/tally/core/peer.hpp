// Sending to another connector: the outgoing half of the wire, as services see it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "tally/core/http.hpp"
#include "tally/core/ids.hpp"

namespace tally {

// One request to the connector of `to`. `url` is absolute.
struct PeerRequest {
  PartyId to;
  std::string url;
  HttpRequest http;  // its target is ignored: it comes from `url`
};

struct PeerAnswer {
  int status = 0;
  Headers headers;
  std::string body;  // at most Limits::control_body_bytes
};

struct PeerStream {
  int status = 0;
  Headers headers;
  std::optional<std::uint64_t> length;
  std::unique_ptr<BodyReader> body;
};

// Home executor only. Checks before it connects: the URL's host is one configured for `to`, its
// scheme is https (or http on loopback under --insecure-loopback); then that the server's
// certificate proves `to`. Redirects are not followed. Errors: forbidden (host or identity not as
// configured, net.peer-*), unavailable (no connection, time-out, cut).
class Peer {
 public:
  virtual ~Peer() = default;
  virtual awaitable<Result<PeerAnswer>> send(PeerRequest request) = 0;
  virtual awaitable<Result<PeerStream>> open(PeerRequest request) = 0;
};

}  // namespace tally
