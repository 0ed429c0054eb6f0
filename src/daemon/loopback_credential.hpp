// Peers without TLS, for trying out on one machine (--insecure-loopback): a configured credential
// stands for the certificate, both ways. Never on any address but loopback; loud in the log.
//
// The credential is the exact value of the Authorization field. Where that field holds a data
// token, a connector of ours sends it as Tally-Loopback-Credential instead.
#pragma once

#include <string>
#include <vector>

#include "tally/core/peer.hpp"
#include "tally/identity/peer_identity.hpp"

#include "config.hpp"

namespace tally::daemon {

// Sends our credential along with every plain request.
class LoopbackPeer final : public Peer {
 public:
  LoopbackPeer(Peer& peer, std::vector<PeerEntry> entries);
  awaitable<Result<PeerAnswer>> send(PeerRequest request) override;
  awaitable<Result<PeerStream>> open(PeerRequest request) override;

 private:
  void present(PeerRequest& request) const;

  Peer& peer_;
  const std::vector<PeerEntry> entries_;
};

// Who speaks, by the credential of a plain request; null when nobody's.
std::shared_ptr<const identity::PeerIdentity> identify_loopback(
    const HttpRequest& request,
    const identity::Caller& caller,
    const std::vector<PeerEntry>& entries
);

}  // namespace tally::daemon
