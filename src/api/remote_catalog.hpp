// Asks other connectors for their catalogues, as a consumer. What comes back is the peer's word:
// bounded, checked for its shape, and nothing follows from it but what a person then orders.
#pragma once

#include <cstddef>
#include <string>

#include "tally/core/clock.hpp"
#include "tally/core/json.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/message.hpp"
#include "tally/core/peer.hpp"
#include "tally/dsp/messages.hpp"
#include "tally/negotiation/peers.hpp"

namespace tally::api {

// How the wire is reached. Outlives the calls.
struct RemotePeers {
  Peer& peer;
  const negotiation::PeerDirectory& directory;
  const Limits& limits;
  Clock& clock;
  std::string trace{};  // of whoever wants it (trace_of), or empty
};

// What one order may still fetch, and until when: the bounds of Limits hold for all its pages
// together.
struct CatalogBudget {
  std::size_t pages;
  std::size_t bytes;
  Instant until;
};
CatalogBudget budget_of(const RemotePeers& wire);

// All pages of the catalogue of `party` as one Catalog: links are followed as they are offered, by
// repeating the request, or with GET where the peer wants that. `filter`: a list, sent as it is.
// Errors: invalid (api.peer-unknown, api.filter-refused), those of Peer, unavailable
// (api.peer-answered, api.link-elsewhere, api.link-again, api.catalog-mixed, api.catalog-too-long,
// api.catalog-too-large, api.catalog-too-slow, core.gzip-*), and those of dsp::from_json.
awaitable<Result<Json>> fetch_catalog(
    RemotePeers wire, PartyId party, Json filter, CatalogBudget& budget
);

// Errors: not_found (api.asset-not-offered) when the peer does not show it to us; else as above.
// A peer that has no request for one dataset is asked for its catalogue.
awaitable<Result<Json>> fetch_dataset(RemotePeers wire, PartyId party, AssetId asset);

// The list `key` of a JSON-LD object: a single value stands for a list of one, nothing for none.
Json as_list(const Json& object, const char* key);

}  // namespace tally::api
