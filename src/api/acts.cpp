#include "acts.hpp"

#include <utility>

namespace tally::api {

Claims claims_of(const Target& target) {
  Claims claims;
  for (const auto& [key, value] : target.query) {
    if (key == "purpose") claims.purposes.push_back(value);
    if (key == "role") claims.roles.push_back(value);
  }
  return claims;
}

usage::Act act_of_app(
    const usage::App& app,
    const PartyId& self,
    AgreementId agreement,
    std::string action,
    const Claims& claims,
    const HeldData* held
) {
  // A request may narrow what the operator registered, never widen it.
  auto purposes = usage::narrow_purposes(app, claims.purposes);
  auto roles = usage::narrow_roles(app, claims.roles);
  usage::Act act;
  act.agreement = std::move(agreement);
  act.action = std::move(action);
  act.party = self;
  act.app = app.id;
  act.purposes = std::move(purposes.allowed);
  act.purposes_not_registered = std::move(purposes.not_registered);
  act.roles = std::move(roles.allowed);
  act.roles_not_registered = std::move(roles.not_registered);
  act.purpose_source = odrl::Source::registration;
  if (held != nullptr) {
    act.asset_class = held->asset_class;
    act.of_derived = held->is_derived;
  }
  return act;
}

usage::Act act_of_peer(PeerAct asked) {
  usage::Act act;
  act.agreement = std::move(asked.agreement);
  act.action = std::move(asked.action);
  act.party = std::move(asked.consumer);
  act.purposes = std::move(asked.purposes);
  act.purpose_source = odrl::Source::asserted;
  act.by_credential = asked.by_credential;
  act.receipt_before_key = asked.sealed;
  // "192.0.2.1:5000" and "[2001:db8::1]:5000" without port and brackets.
  std::string address = asked.source.substr(0, asked.source.rfind(':'));
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  }
  if (asked.source.find(':') != std::string::npos) act.address = std::move(address);
  return act;
}

void tell_rest(HttpResponse& response, const usage::Grant& grant) {
  if (grant.left) response.headers.set("Tally-Remaining-Uses", std::to_string(*grant.left));
  if (const auto& until = grant.decision.valid_until) {
    response.headers.set("Tally-Valid-Until", format_seconds(*until));
  }
}

void add_refusal(Json& body, const usage::Refusal& refusal, Lang lang) {
  Json reasons = Json::array();
  for (const auto& reason : refusal.reasons) reasons.push_back(shown_message(reason, lang));
  body["reasons"] = std::move(reasons);
  body["decision"] = "deny";
  body["reason"] = odrl::to_string(refusal.decision.reason);
  body["rule"] = refusal.decision.decisive_rule.value;
  body["agreement"] = refusal.agreement.value;
  if (refusal.used) body["used"] = *refusal.used;
  if (refusal.limit) body["limit"] = *refusal.limit;
  if (refusal.until) body["until"] = format_seconds(*refusal.until);
}

}  // namespace tally::api
