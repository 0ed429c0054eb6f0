// The outgoing half: HttpsPeer reaches other connectors over mutual TLS, LocalClient reaches our
// own listeners from the command line and from tests.
//
// HttpsPeer connects only to hosts configured for the party, believes only a server certificate
// that proves that party, follows no redirect and reads bounded answers. One executor (home) for
// all calls; set_addresses and reload_tls may come from any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "tally/core/limits.hpp"
#include "tally/core/peer.hpp"
#include "tally/identity/trust.hpp"

namespace tally::net {

struct PeerAddress {
  PartyId party;
  std::vector<std::string> hosts;  // "host:port", compared without case; no port: 443
};

struct HttpsPeerConfig {
  std::vector<PeerAddress> peers;
  std::string certificate_pem;  // our own chain; empty with insecure_loopback alone
  std::string key_pem;
  // http:// to loopback addresses is allowed; the peer's identity is then taken from configuration.
  bool insecure_loopback = false;
};

class HttpsPeer : public Peer {
 public:
  // Errors: invalid (net.tls-key, net.tls-certificate).
  static Result<std::unique_ptr<HttpsPeer>> create(
      boost::asio::any_io_executor home,
      const HttpsPeerConfig& config,
      const Limits& limits,
      identity::TrustSource& trust,
      Clock& clock
  );
  ~HttpsPeer() override;

  void set_addresses(const std::vector<PeerAddress>& peers);
  Result<void> reload_tls(const std::string& certificate_pem, const std::string& key_pem);
  // Whether `url` is one that `send` would connect to for `to`: for a callbackAddress, before
  // anything is created. Any thread.
  [[nodiscard]] Result<void> reachable(const PartyId& to, const std::string& url) const;

  // Codes: net.url-malformed (invalid); net.peer-unknown, net.peer-host-not-configured,
  // net.peer-insecure, net.peer-other-identity, net.peer-certificate-refused (forbidden);
  // net.peer-unreachable, net.peer-timeout, net.peer-cut, net.peer-answer-malformed,
  // net.peer-answer-too-large (unavailable). A redirect is an answer like any other.
  awaitable<Result<PeerAnswer>> send(PeerRequest request) override;
  awaitable<Result<PeerStream>> open(PeerRequest request) override;

 private:
  struct State;
  explicit HttpsPeer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

struct LocalClientConfig {
  std::string unix_socket;      // connect there; the URL's host is then only a name
  std::string bearer_token;     // Authorization: Bearer …, when not empty
  std::string ca_pem;           // what https:// servers are verified against, with their host name
  std::string certificate_pem;  // a client certificate, when not empty
  std::string key_pem;
  Nanos timeout = seconds(60);  // of each connect, read and write
  std::size_t answer_bytes = 64 << 20;
};

// Blocking, one connection that is kept between calls. One thread. No redirects, no proxies.
class LocalClient {
 public:
  explicit LocalClient(LocalClientConfig config);
  ~LocalClient();
  LocalClient(LocalClient&&) noexcept;
  LocalClient& operator=(LocalClient&&) noexcept;

  // `request.target` is ignored: it comes from `url`. Errors as HttpsPeer, with net.peer-refused-us
  // (unavailable) where a server's TLS alert says that it did not accept our certificate.
  Result<PeerAnswer> call(const std::string& url, HttpRequest request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "https://host:port/path?query", split. No user info, no fragment.
struct Url {
  bool secure = true;
  std::string host;  // without brackets
  std::string port;
  std::string target;                           // begins with '/'
  [[nodiscard]] std::string authority() const;  // "host:port", lower case, brackets back on
};
std::optional<Url> parse_url(std::string_view text);

}  // namespace tally::net
