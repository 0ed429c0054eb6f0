// Who speaks on a connection: the identity that a certificate chain proved, and the credential that
// a request arrived with. What a credential is allowed to do is decided elsewhere (api, services).
//
// Values without OpenSSL and without a transport, so that the simulator makes its own. Thread-safe
// as values are.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/secret.hpp"
#include "tally/core/viewer.hpp"
#include "tally/identity/contract_key.hpp"

namespace tally::identity {

// In the place of a certificate's digest: the party showed a credential that was agreed on.
inline constexpr std::string_view by_credential = "credential";

// Made by TrustStore::verify, and by the listener for credentials (and by tests).
struct PeerIdentity {
  PartyId party;
  std::string certificate_sha256;  // lower-case hex over the leaf's DER: what data tokens bind to.
                                   // by_credential: no certificate, and tokens bind to the party
  std::vector<Bytes> chain;        // DER as the peer sent it, leaf first
  Instant not_after;               // the earliest end of validity on the way to the anchor
  // Until when the result stands with the same trust store: not_after, or the end of a revocation
  // list and its grace. From then on the chain must be verified again.
  Instant good_until;
  std::string
      crl_state;  // "checked <thisUpdate>…<nextUpdate>", of the list that ends first; "none"
  SubjectAttributes subject;  // organisation, units and countries of the leaf
  // Of a contract certificate: the revocation lists that were looked at, DER, for the archive, and
  // the key that it certifies.
  std::vector<Bytes> lists;
  std::optional<Ed25519PublicKey> contract_key;

  [[nodiscard]] Viewer viewer() const { return {party, subject}; }
};

// What a request came with. Identity is the only thing in it that may be believed.
struct Caller {
  std::shared_ptr<const PeerIdentity> peer;  // null where no client certificate is asked for
  Secret authorization;                      // the value of the Authorization field, or empty
  std::string source;  // "192.0.2.1:5000" or "unix"; for people, proves nothing
};

}  // namespace tally::identity
