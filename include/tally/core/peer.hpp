// Sending to another connector: the outgoing half of the wire, as services see it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tally/core/http.hpp"
#include "tally/core/ids.hpp"

namespace tally {

// An address of our own as `reader` reaches it, without a trailing slash: peers come in by
// different listeners. Any thread.
using OurUrl = std::function<std::string(const PartyId& reader)>;

// One request to the connector of `to`. `url` is absolute.
struct PeerRequest {
  PartyId to;
  std::string url;
  HttpRequest http;  // its target is ignored: it comes from `url`
  // How long to wait for the answer's header, and then for its body as a whole where that is
  // bounded; 0: Limits::request_timeout.
  Nanos answer_within = 0;
  std::size_t answer_bytes = 0;  // most bytes of a PeerAnswer; 0: Limits::control_body_bytes
};

struct PeerAnswer {
  int status = 0;
  Headers headers;
  std::string body;
};

struct PeerStream {
  int status = 0;
  Headers headers;
  std::optional<std::uint64_t> length;
  std::unique_ptr<BodyReader> body;
};

// Home executor only. Checks before it connects: the URL's host is one configured for `to` and has
// no address that it may not have, its scheme is https (or http on loopback under
// --insecure-loopback); then that the server proves to be the one of `to`. Redirects are not
// followed. Errors: forbidden (host, address or identity not as configured, net.*), unavailable (no
// connection, time-out, cut).
class Peer {
 public:
  virtual ~Peer() = default;
  virtual awaitable<Result<PeerAnswer>> send(PeerRequest request) = 0;
  virtual awaitable<Result<PeerStream>> open(PeerRequest request) = 0;
};

}  // namespace tally
