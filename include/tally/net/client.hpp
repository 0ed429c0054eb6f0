// The outgoing half: HttpsPeer reaches other connectors.
//
// It connects only to hosts configured for the party, and to no address that the configuration does
// not stand for: a name is resolved, every address of the answer is judged, and one of those judged
// is connected to, so that an answer that changes afterwards changes nothing. A server proves
// itself by the certificate of the party, or, for a peer that is known by a credential, by a
// certificate for its host name. No redirect is followed, and answers are bounded. One executor
// (home) for all calls; set_addresses and reload_tls may come from any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "tally/core/limits.hpp"
#include "tally/core/peer.hpp"
#include "tally/core/secret.hpp"
#include "tally/identity/trust.hpp"
#include "tally/net/url.hpp"

namespace tally::net {

// A peer that neither has nor asks for certificates of the trust domains.
struct PeerCredential {
  Secret sends;             // the Authorization value of our requests; empty: none is sent
  std::string anchors_pem;  // what its server's certificate is judged by; empty: the system's
};

struct PeerAddress {
  PartyId party;
  std::vector<std::string> hosts;  // "host:port", compared without case; no port: 443
  // Its names may resolve to private and loopback addresses. Addresses that are written among
  // `hosts`, and `localhost`, need no such word.
  bool private_addresses = false;
  std::optional<PeerCredential> credential{};
};

// The addresses of a host name, as text; empty: it has none.
using ResolveName = std::function<std::vector<std::string>(const std::string& name)>;

struct HttpsPeerConfig {
  std::vector<PeerAddress> peers;
  std::string certificate_pem;  // our own chain; empty with insecure_loopback alone
  Secret key_pem;
  // http:// to loopback addresses is allowed, for peers with a credential.
  bool insecure_loopback = false;
  ResolveName resolve;  // null: the system's
};

class HttpsPeer : public Peer {
 public:
  // Errors: invalid (net.tls-key, net.tls-certificate, net.peer-anchors).
  static Result<std::unique_ptr<HttpsPeer>> create(
      boost::asio::any_io_executor home,
      const HttpsPeerConfig& config,
      const Limits& limits,
      identity::TrustSource& trust,
      Clock& clock
  );
  ~HttpsPeer() override;

  // Connections made before are not used again. Errors: invalid (net.peer-anchors); what was there
  // stays.
  Result<void> set_addresses(const std::vector<PeerAddress>& peers);
  Result<void> reload_tls(const std::string& certificate_pem, const Secret& key_pem);
  // Cuts connections to servers whose certificates do not stand any more, streams on them included:
  // to be called when the trust was replaced, and now and then since lists and certificates end.
  void recheck();
  // Whether `url` is one that `send` would look up for `to`: for a callbackAddress, before anything
  // is created. Any thread.
  [[nodiscard]] Result<void> reachable(const PartyId& to, const std::string& url) const;

  // Codes: net.url-malformed (invalid); net.peer-unknown, net.peer-host-not-configured,
  // net.peer-insecure, net.address-*, net.peer-other-identity, net.peer-certificate-refused
  // (forbidden); net.peer-unreachable, net.peer-timeout, net.peer-cut, net.peer-tls-failed,
  // net.peer-answer-malformed, net.peer-answer-too-large (unavailable). A redirect is an answer
  // like any other. At most 32 are under way to a host; a further one waits for its turn first,
  // for as long as its caller does.
  awaitable<Result<PeerAnswer>> send(PeerRequest request) override;
  awaitable<Result<PeerStream>> open(PeerRequest request) override;

 private:
  struct State;
  explicit HttpsPeer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace tally::net
