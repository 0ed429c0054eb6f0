// What other connectors may order of us beyond the Dataspace Protocol (docs/peer-api.md): the
// suspension, resumption and end of agreements with them, and the holds of a regulator that they
// bring. Taken also while the connector takes no new work.
#pragma once

#include <vector>

#include "tally/api/router.hpp"
#include "tally/transfer/agreement_orders.hpp"
#include "tally/usage/hold_book.hpp"

namespace tally::api {

struct HoldApiParts {
  transfer::AgreementOrders& orders;
  usage::HoldBook& holds;
  const Limits& limits;
};

std::vector<Route> peer_hold_routes(HoldApiParts parts);

}  // namespace tally::api
