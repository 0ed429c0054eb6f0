// What other connectors may ask on the peer port: the version document, negotiation and transfer of
// the Dataspace Protocol in both roles, and /tally/v1 (docs/peer-api.md). The routes only copy:
// message in, one service function, answer out.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/api/router.hpp"
#include "tally/dsp/messages.hpp"
#include "tally/negotiation/negotiation_service.hpp"
#include "tally/transfer/transfer_service.hpp"

namespace tally::api {

inline constexpr std::string_view dsp_base_path = "/dsp/2025-1";
inline constexpr std::string_view tally_base_path = "/tally/v1";

struct PeerApiParts {
  negotiation::NegotiationService& negotiations;
  transfer::TransferService& transfers;
  // Refuses new work (with the reason) while the log or the store cannot take it.
  std::function<std::optional<Error>()> closed;
  const Limits& limits;
};

std::vector<Route> peer_routes(PeerApiParts parts);

// On the peer port the certificate is the credential.
Result<Admission> admit_peer(const HttpRequest& request, const identity::Caller& caller);

}  // namespace tally::api
