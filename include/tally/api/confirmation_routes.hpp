// What the two sides of an agreement tell each other of its duties (docs/peer-api.md): the provider
// what it confirmed, the consumer that it asks for a consent. Taken also while the connector takes
// no new work, since a withdrawal is among it.
#pragma once

#include <vector>

#include "tally/api/router.hpp"
#include "tally/transfer/confirmations.hpp"

namespace tally::api {

std::vector<Route> peer_confirmation_routes(transfer::Confirmations& confirmations);

}  // namespace tally::api
