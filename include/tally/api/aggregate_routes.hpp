// Queries about groups of rows (docs/aggregates.md): POST /data/<pid> on the peer port, where a
// provider answers them, and POST /api/v1/aggregates/<agreement> on the application port, which
// asks the provider for an application. Both run on the home executor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "tally/aggregates/aggregates.hpp"
#include "tally/api/data_routes.hpp"
#include "tally/api/provider_call.hpp"
#include "tally/api/router.hpp"
#include "tally/transfer/token_registry.hpp"
#include "tally/transfer/transfer_service.hpp"
#include "tally/transfer/use_receipts.hpp"
#include "tally/usage/app_registry.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::api {

struct PeerAggregateParts {
  aggregates::Aggregates& aggregates;
  usage::Enforcer& enforcer;
  const transfer::TokenRegistry& tokens;
  dataplane::SourceReader& sources;
  ServedAssets& assets;
  // Of the agreement's pseudonyms; null: there is no secret for them.
  std::function<std::shared_ptr<const dataplane::PseudonymKeys>(const AgreementId&)> keys_of;
  // Refuses new work (with the reason) while the log or the store cannot take it.
  std::function<std::optional<Error>()> closed;
  const Limits& limits;
  transfer::UseReceipts* receipts = nullptr;  // null: answers carry none
};
std::vector<Route> peer_aggregate_routes(PeerAggregateParts parts);

struct AppAggregateParts {
  usage::Enforcer& enforcer;
  const usage::AppRegistry& apps;
  ProviderCallParts calls;
  PartyId self;
  const Limits& limits;
};
std::vector<Route> app_aggregate_routes(AppAggregateParts parts);

}  // namespace tally::api
