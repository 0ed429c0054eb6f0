// The receipt of a use once more, with the proof that its record is in our log: for the party or
// the application whose use it was, and for nobody else (docs/peer-api.md, docs/management-api.md).
#pragma once

#include <vector>

#include "tally/api/router.hpp"
#include "tally/audit/log_tree.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/store.hpp"
#include "tally/transfer/use_receipts.hpp"

namespace tally::api {

struct UseReceiptParts {
  audit::LogTree& tree;
  Worker& worker;  // for reads and for the checkpoint
  Store& store;    // of agreements; home executor
  const transfer::UseReceipts& receipts;
};

// GET /tally/v1/use-receipts/<seq>, for the consumer of an agreement whose provider we are.
std::vector<Route> peer_use_receipt_routes(UseReceiptParts parts);
// GET /api/v1/use-receipts/<seq>, for local applications.
std::vector<Route> app_use_receipt_routes(UseReceiptParts parts);

}  // namespace tally::api
