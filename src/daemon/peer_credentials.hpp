// Peers without certificates of the trust domains: each is known by the exact value of the
// Authorization field of its requests, whatever scheme that is of. Such a peer is known at the
// listener for credentials alone, and nobody else is known there.
//
// The secrets are read once and kept as SHA-256; they are compared in constant time. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/identity/peer_identity.hpp"
#include "tally/net/client.hpp"

#include "config.hpp"

namespace tally::daemon {

struct LoadedCredential {
  PartyId party;
  Digest expects{};              // SHA-256 of what it sends
  net::PeerCredential outgoing;  // what we send, and how its server is judged
};

// Opens the files that the configuration names. Errors, with the place in tally.json: invalid
// (daemon.file-unreadable, daemon.file-readable-by-others, daemon.credential-malformed,
// daemon.credential-shared).
Result<std::vector<LoadedCredential>> load_peer_credentials(const Config& config);

// What HttpsPeer has to know of the peers.
std::vector<net::PeerAddress> addresses_of(
    const std::vector<PeerEntry>& entries, const std::vector<LoadedCredential>& credentials
);

class PeerCredentials {
 public:
  explicit PeerCredentials(std::vector<LoadedCredential> credentials)
      : credentials_(std::move(credentials)) {}

  void replace(std::vector<LoadedCredential> credentials);
  // Whose value of the Authorization field this is; nullopt: nobody's.
  [[nodiscard]] std::optional<PartyId> owner(std::string_view authorization) const;
  // Whether this party is known by a credential, and so by nothing else.
  [[nodiscard]] bool has(const PartyId& party) const;

 private:
  mutable std::mutex mutex_;
  std::vector<LoadedCredential> credentials_;
};

// The identity of a party that showed its credential, or a token that was given out for it.
std::shared_ptr<const identity::PeerIdentity> identity_by_credential(PartyId party);

}  // namespace tally::daemon
