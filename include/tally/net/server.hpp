// A listener: HTTP/1.1 over TLS 1.3 with client certificates, over TLS alone, or in the clear on
// loopback and Unix sockets. It moves values of core/http.hpp and knows no route.
//
// Each connection lives on one of the given contexts (one thread each) and its handler is called
// there. Everything that comes from outside is bounded by Limits. The functions of Server may be
// called from any thread unless they say otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "tally/core/http.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/secret.hpp"
#include "tally/identity/peer_identity.hpp"
#include "tally/identity/trust.hpp"

namespace tally::net {

// Answers one request. `caller` stays valid until the answer has gone out. Cancelled (terminal)
// when Limits::request_timeout has passed or the drain limit has.
using Handler = std::function<awaitable<HttpResponse>(HttpRequest, const identity::Caller& caller)>;

// Told of every connection that did not get as far as a request. Called on a context's thread for
// each one, floods included: it must be quick, and it aggregates.
class RefusalSink {
 public:
  virtual ~RefusalSink() = default;
  // `source` is an address without port, or "unix".
  virtual void refused(const Message& reason, const std::string& source) = 0;
};

enum class Transport {
  mutual_tls,  // client certificate required, verified in the handshake
  tls,         // server certificate only: apps and management off loopback
  plain,       // loopback or Unix socket only: `listen` refuses any other address
};

struct ListenerConfig {
  Transport transport = Transport::mutual_tls;
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;       // 0: chosen by the system
  std::string unix_socket;      // a path instead of address and port; plain only; mode 0600
  std::string certificate_pem;  // chain, leaf first
  Secret key_pem;
};

struct ServerState;

class Server {
 public:
  // The contexts and everything referred to must outlive the server; the contexts must have stopped
  // running, or `shutdown` have completed, before it is destroyed. `trust` is used by mutual_tls.
  Server(
      const std::vector<boost::asio::io_context*>& contexts,
      ListenerConfig config,
      const Limits& limits,
      identity::TrustSource& trust,
      Clock& clock,
      Handler handler,
      RefusalSink& refusals,
      Notices& notices
  );
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds and begins to accept; returns the port. Errors: invalid (net.plain-not-loopback,
  // net.tls-key, net.tls-certificate, net.bad-address), unavailable (net.cannot-listen).
  Result<std::uint16_t> listen();

  // New handshakes use the new pair; running connections keep theirs.
  Result<void> reload_tls(const std::string& certificate_pem, const Secret& key_pem);

  // Two steps: closes the acceptor and idle connections, lets busy ones finish their request with
  // "Connection: close"; when Limits::drain has passed, cuts the rest. Completes when none is left.
  awaitable<void> shutdown();
  // The first half alone.
  void stop_accepting();

  [[nodiscard]] std::size_t connections() const;
  [[nodiscard]] std::size_t requests_in_flight() const;
  // Of peers that are known by a certificate, how many each has open now.
  [[nodiscard]] std::map<PartyId, std::size_t> connections_by_peer() const;

 private:
  std::shared_ptr<ServerState> state_;
};

}  // namespace tally::net
