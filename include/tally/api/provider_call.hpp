// What a consumer's connector asks the provider for, on behalf of a local application: where the
// provider answers calls under the agreement, and what of its answer the application gets. Home
// executor.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "tally/api/router.hpp"
#include "tally/core/peer.hpp"
#include "tally/transfer/transfer_service.hpp"

namespace tally::api {

struct ProviderCallParts {
  transfer::TransferService& transfers;
  Peer& peer;
  Timers& timers;
  // Refuses new work (with the reason) while the log or the store cannot take it.
  std::function<std::optional<Error>()> closed;
};

// A request to where the provider answers calls; a transfer in HttpData-QUERY is begun where none
// runs. Its URL has no query yet; it carries on the trace of `call`, which outlives it. Errors:
// those of TransferService::request; unavailable (api.call-not-started).
awaitable<Result<PeerRequest>> request_to_provider(
    const ProviderCallParts& parts, AgreementId agreement, PartyId provider, const Call& call
);

// A problem of the provider's as the application sees it: its words, where they are readable. What
// the provider has against us is no fault of the application's.
HttpResponse problem_of_provider(int status, const Headers& headers, std::string body, Lang lang);

// The members of the provider's answer that belong to the use there.
void copy_use_headers(const Headers& from, HttpResponse& to);

}  // namespace tally::api
