#include "decision_routes.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/api/data_routes.hpp"
#include "tally/api/form_of_act.hpp"
#include "tally/negotiation/agreement.hpp"
#include "tally/odrl/exchange.hpp"
#include "tally/odrl/explain.hpp"
#include "tally/odrl/terms.hpp"
#include "tally/odrl/vocabulary.hpp"

#include "acts.hpp"
#include "members.hpp"

namespace tally::api {

namespace {

// Of a refusal that no policy gives.
Json refused_before(const Message& code, int status, const AgreementId& agreement, Lang lang) {
  Json body = Json::parse(problem(status, code, lang).body);
  body["decision"] = "deny";
  body["agreement"] = agreement.value;
  body["reasons"] = Json::array();
  return body;
}

// Errors: not_found, also of one that another agreement binds; unavailable.
Result<HeldData> artefact_under(
    HeldDataReader& held, const ArtefactId& id, const AgreementId& agreement
) {
  const auto bound_by = held.bound_by(id);
  if (std::ranges::find(bound_by, agreement) == bound_by.end()) {
    return fail(ErrorKind::not_found, {"custody.unknown-artefact", {{"artefact", id.value}}});
  }
  return held.artefact(id);
}

Result<usage::Act> asked_act(
    const ManagementApiParts& parts, const Json& body, const AgreementId& agreement
) {
  Claims claims;
  auto purposes = texts_member(body, "purposes");
  if (!purposes) return fail(std::move(purposes));
  auto roles = texts_member(body, "roles");
  if (!roles) return fail(std::move(roles));
  claims.purposes = std::move(*purposes);
  claims.roles = std::move(*roles);
  const auto purpose = string_member_or(body, "purpose", "", "");
  if (!purpose) return tl::unexpected(purpose.error());
  if (!purpose->empty()) claims.purposes.push_back(*purpose);
  const auto action = string_member_or(body, "action", std::string(odrl::iri::read), "");
  if (!action) return tl::unexpected(action.error());

  if (body.contains("peer")) {
    PeerAct asked;
    auto peer = peer_member(body);
    if (!peer) return fail(std::move(peer));
    const auto address = string_member_or(body, "address", "", "");
    if (!address) return tl::unexpected(address.error());
    const auto found = negotiation::find_agreement(parts.store, agreement);
    if (!found) return tl::unexpected(found.error());
    asked.agreement = agreement;
    asked.action = *action;
    asked.by_credential = parts.peers.by_credential(*peer);
    asked.consumer = std::move(*peer);
    // What a peer intends is what it agreed to.
    if (*found) asked.purposes = (*found)->purposes;
    if (!address->empty()) asked.source = *address + ":0";
    asked.sealed = *action == odrl::iri::archive && parts.enforcer.receipt_before_key(agreement);
    auto act = act_of_peer(std::move(asked));
    const auto asset = parts.served.of(agreement);
    if (asset) form_of_act(parts.enforcer, *(*asset)->shapes, act);
    return act;
  }
  const auto app_id = string_member(body, "app", "");
  if (!app_id) return tl::unexpected(app_id.error());
  const auto apps = parts.apps.list();
  const auto app = std::ranges::find(apps, AppId(*app_id), &usage::App::id);
  if (app == apps.end()) {
    return fail(ErrorKind::not_found, {"api.unknown-app", {{"app", *app_id}}});
  }
  const auto artefact = string_member_or(body, "artefact", "", "");
  if (!artefact) return tl::unexpected(artefact.error());
  auto held = artefact->empty() ? parts.held.held(agreement)
                                : artefact_under(parts.held, ArtefactId(*artefact), agreement);
  if (!held && !artefact->empty()) return fail(std::move(held));
  auto act = act_of_app(*app, parts.self, agreement, *action, claims, held ? &*held : nullptr);
  if (held && held->shapes) form_of_act(parts.enforcer, *held->shapes, act);
  return act;
}

}  // namespace

awaitable<HttpResponse> post_decision(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  const auto id = string_member(*body, "agreement", "");
  if (!id) co_return problem(id.error(), call.lang);
  const AgreementId agreement(*id);
  const auto act = asked_act(*parts, *body, agreement);
  if (!act) co_return problem(act.error(), call.lang);
  if (!act->app.empty()) {
    const auto apps = parts->apps.list();
    const auto app = std::ranges::find(apps, act->app, &usage::App::id);
    if (app != apps.end() && !usage::may_use(*app, agreement)) {
      const Message code{
          "api.app-not-for-agreement", {{"app", act->app.value}, {"agreement", agreement.value}}};
      co_return json_response(200, refused_before(code, 403, agreement, call.lang));
    }
  }
  const auto rehearsed = parts->enforcer.dry_run(*act);
  if (!rehearsed) co_return problem(rehearsed.error(), call.lang);
  Json answer;
  if (rehearsed->refusal) {
    answer = Json::parse(refusal_response(*rehearsed->refusal, call.lang).body);
  } else {
    Json reasons = Json::array();
    for (const auto& reason : odrl::explain(rehearsed->decision)) {
      reasons.push_back(shown_message(reason, call.lang));
    }
    answer = {
        {"status", 200},
        {"decision", "permit"},
        {"reason", odrl::to_string(rehearsed->decision.reason)},
        {"rule", rehearsed->decision.decisive_rule.value},
        {"agreement", agreement.value},
        {"reasons", std::move(reasons)}};
    if (rehearsed->left) answer["remainingUses"] = *rehearsed->left;
    if (const auto& until = rehearsed->decision.valid_until) {
      answer["validUntil"] = format_seconds(*until);
    }
  }
  answer["report"] = odrl::to_json(rehearsed->decision, call.lang);
  co_return json_response(200, answer);
}

}  // namespace tally::api
