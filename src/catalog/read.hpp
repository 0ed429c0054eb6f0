// Reads one document into an Asset or an Offer, with every fault found in it.
#pragma once

#include <map>
#include <vector>

#include <tl/expected.hpp>

#include "tally/catalog/catalog.hpp"

namespace tally::catalog {

template <class X>
using Read = tl::expected<X, std::vector<Problem>>;

Read<Asset> read_asset(const Document& document, const BuildOptions& options);
// `assets`: those that an offer may be on.
Read<Offer> read_policy(
    const Document& document, const std::map<AssetId, Asset>& assets, const BuildOptions& options
);

}  // namespace tally::catalog
