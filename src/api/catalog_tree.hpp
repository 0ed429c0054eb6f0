// A peer's catalogue with what it points to: nested catalogues (DSP 2025-1, catalog protocol) are
// asked for where they belong to a configured peer, and to nobody else. Bounded in depth, in number
// and in bytes; none is asked twice.
#pragma once

#include "remote_catalog.hpp"

namespace tally::api {

// What an operator orders.
struct CatalogOrder {
  PartyId party;
  Json filter = Json::array();
  bool follow = false;
};

// Takes `filter` and `follow` of an order's body. Errors: invalid (core.member-type).
Result<void> read_wishes(const Json& body, CatalogOrder& order);

// The member of a nested catalogue that says, in `lang`, why it was not asked for.
inline constexpr const char* not_followed = "urn:tally:profile:1#notFollowed";

// Without `follow` the catalogue as the peer shows it, all its pages. With it, each nested
// catalogue has its own content in its place, or `not_followed`; a nested one that fails does not
// fail the whole. Errors: those of fetch_catalog for the first.
awaitable<Result<Json>> fetch_catalog_tree(RemotePeers wire, CatalogOrder order, Lang lang);

}  // namespace tally::api
