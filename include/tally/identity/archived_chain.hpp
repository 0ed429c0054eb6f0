// A certificate chain that was archived, checked years later: as of the time at which it was used,
// and with the revocation lists of that time. The present time plays no part.
//
// Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tally/core/instant.hpp"
#include "tally/core/result.hpp"
#include "tally/identity/peer_identity.hpp"

namespace tally::identity {

// Whether a file holds CA certificates and nothing that cannot be read. Errors: invalid,
// identity.trust-*.
Result<void> check_anchors(std::string_view anchors_pem);

// That the chain of a contract certificate led to one of the anchors at `at` and named `uri`. With
// lists, each certificate below the anchor must stand on none, and the lists must be of that time;
// without, revocation is not looked at. The party's domain is of no meaning here. Errors: those of
// TrustStore::verify, and identity.archived-list-malformed.
Result<PeerIdentity> verify_archived_chain(
    std::span<const Bytes> chain,
    std::span<const Bytes> lists,
    std::string_view anchors_pem,
    const std::string& uri,
    Instant at
);

}  // namespace tally::identity
