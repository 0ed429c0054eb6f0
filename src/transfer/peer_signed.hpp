// What a note that the other side of an agreement has signed is held against. Safe from any thread
// that may read the store.
#pragma once

#include <string_view>

#include "tally/audit/note.hpp"
#include "tally/core/store.hpp"
#include "tally/negotiation/agreement.hpp"

namespace tally::transfer {

// An agreement with the key that its other side signs notes with.
struct WithPeerKey {
  negotiation::Agreement agreement;
  audit::VerifierKey key;
};

// Errors: not_found (transfer.unknown-agreement, at /agreement): also where it is another party's;
// invalid (transfer.no-key): the other side did not sign; those of the store.
Result<WithPeerKey> with_peer_key(Store& store, const AgreementId& id, const PartyId& from);

// Whether a log is the other side's: the one that it named when it signed, or one that it had to
// begin in its place. Of a party that named none, any is.
bool is_log_of_peer(const negotiation::Agreement& agreement, std::string_view origin);

}  // namespace tally::transfer
