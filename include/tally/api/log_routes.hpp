// The log as static files under /log/ (C2SP tlog-tiles): the checkpoint, tiles of hashes, bundles
// of entries. Whoever has the role of an auditor reads all of it on the management listener;
// partners read checkpoint and hashes on the peer port, so that they can hold us to what we showed
// them without seeing what concerns others.
#pragma once

#include <functional>
#include <vector>

#include "tally/api/router.hpp"
#include "tally/audit/log_tree.hpp"
#include "tally/core/clock.hpp"

namespace tally::api {

struct LogApiParts {
  audit::LogTree& tree;
  Worker& worker;  // for what blocks: a signature with its two syncs, a read
};

// For the management listener.
std::vector<Route> log_routes(const LogApiParts& parts);

// For the peer port. `is_partner`: whether the party has an agreement with us, of whatever state;
// asked on the home executor. For everybody else there is no log: 404.
using IsPartner = std::function<Result<bool>(const PartyId&)>;
std::vector<Route> peer_log_routes(const LogApiParts& parts, IsPartner is_partner);

}  // namespace tally::api
