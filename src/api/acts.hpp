// Acts as the enforcement point is asked for them, and what answers say of its grants and refusals:
// in one place, so that a dry run asks and says exactly what the real call would.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/api/data_routes.hpp"
#include "tally/api/router.hpp"
#include "tally/usage/app_registry.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::api {

// What a request of an application claims of itself; nothing: all that is registered.
struct Claims {
  std::vector<std::string> purposes;
  std::vector<std::string> roles;
};
// Of the query: `purpose` and `role`, each any number of times.
Claims claims_of(const Target& target);

// An act of one of our own applications under an agreement. `held`: what it is on, where that is
// something that custody holds.
usage::Act act_of_app(
    const usage::App& app,
    const PartyId& self,
    AgreementId agreement,
    std::string action,
    const Claims& claims,
    const HeldData* held = nullptr
);

// An act of the consumer of an agreement at our data endpoint.
struct PeerAct {
  AgreementId agreement;
  std::string action;
  PartyId consumer;
  std::vector<std::string> purposes;  // that the agreement names: the peer's word
  bool by_credential = false;
  std::string source;   // "192.0.2.1:5000", or empty
  bool sealed = false;  // it goes out encrypted, and its key for a receipt
};
usage::Act act_of_peer(PeerAct asked);

// Tally-Remaining-Uses and Tally-Valid-Until, where there is something to say.
void tell_rest(HttpResponse& response, const usage::Grant& grant);

// The members of a refusal in an answer: reasons, decision, reason, rule, agreement, and of what
// its sentence speaks used, limit and until.
void add_refusal(Json& body, const usage::Refusal& refusal, Lang lang);

}  // namespace tally::api
