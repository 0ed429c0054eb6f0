// Asks another connector for its catalogue, as a consumer. What comes back is the peer's word:
// bounded, checked for its shape, and nothing follows from it but what a person then orders.
#pragma once

#include "tally/core/json.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/peer.hpp"
#include "tally/dsp/messages.hpp"
#include "tally/negotiation/peers.hpp"

namespace tally::api {

// Errors: invalid (api.peer-unknown), those of Peer, unavailable (api.peer-answered).
awaitable<Result<Json>> fetch_catalog(
    Peer& peer, const negotiation::PeerDirectory& peers, PartyId party, const Limits& limits
);
// not_found (api.asset-not-offered) when the peer does not show it to us.
awaitable<Result<Json>> fetch_dataset(
    Peer& peer,
    const negotiation::PeerDirectory& peers,
    PartyId party,
    AssetId asset,
    const Limits& limits
);

}  // namespace tally::api
