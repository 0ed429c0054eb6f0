// What a log asks of its witness, on the peer port (C2SP tlog-witness, docs/peer-api.md): the
// routes only copy, audit::Witness decides.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "tally/api/router.hpp"
#include "tally/audit/witness.hpp"

namespace tally::api {

struct WitnessApiParts {
  audit::Witness& witness;
  // Refuses to cosign (with the reason) while the log or the store cannot take it.
  std::function<std::optional<Error>()> closed;
};

std::vector<Route> witness_routes(WitnessApiParts parts);

}  // namespace tally::api
