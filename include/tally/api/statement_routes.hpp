// What the other side of an agreement asks of its uses here (docs/peer-api.md, "Statements").
#pragma once

#include <vector>

#include "tally/api/router.hpp"
#include "tally/transfer/statement_sender.hpp"

namespace tally::api {

std::vector<Route> peer_statement_routes(transfer::StatementSender& statements);

}  // namespace tally::api
