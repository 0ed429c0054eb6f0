#include "agreement_admin.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"
#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/exchange.hpp"
#include "tally/odrl/terms.hpp"

#include "duties_json.hpp"
#include "limits_json.hpp"
#include "lists.hpp"

namespace tally::api {

namespace {

// What is active and held on its own account is shown as suspended.
std::string_view shown_state(
    const negotiation::Agreement& agreement, const std::optional<usage::Hold>& hold
) {
  using negotiation::AgreementStatus;
  const bool suspended = agreement.status == AgreementStatus::active && hold &&
                         hold->on.scope == usage::HoldScope::agreement;
  return negotiation::to_string(suspended ? AgreementStatus::suspended : agreement.status);
}

Json agreement_json(const negotiation::Agreement& agreement, const usage::Enforcer& enforcer) {
  const auto hold = enforcer.held(agreement.id);
  Json out = {
      {"id", agreement.id.value},
      {"state", shown_state(agreement, hold)},
      {"side", odrl::to_string(agreement.our_side)},
      {"provider", negotiation::to_json(agreement.provider)},
      {"consumer", negotiation::to_json(agreement.consumer)},
      {"asset", agreement.asset.value},
      {"offer", agreement.offer.value},
      {"negotiation", agreement.negotiation.value},
      {"purposes", agreement.purposes},
      {"digest", digest_text(agreement.digest())},
      {"madeAt", agreement.made_at},
      {"finalizedAt", agreement.finalized_at},
      // What rests on the other side's word alone says so.
      {"signedBy",
       {{"provider", !agreement.provider_signature.empty()},
        {"consumer", !agreement.consumer_signature.empty()}}},
      {"enforcement", agreement.confirmed ? "confirmed" : "asserted"},
      {"assurance", agreement.is_asserted() ? "asserted" : "enforced"}};
  if (!agreement.reading.is_plain()) out["reading"] = dsp::to_json(agreement.reading);
  if (agreement.imported) out["imported"] = true;
  if (hold) out["hold"] = usage::to_json(*hold);
  if (const auto state = enforcer.state(agreement.id)) {
    out["limits"] = limits_json(*state);
    if (auto duties = duties_json(enforcer.duties(agreement.id)); !duties.empty()) {
      out["duties"] = std::move(duties);
    }
    out["uses"] = state->uses;
    if (state->first_use) out["firstUse"] = format_micros(*state->first_use);
    if (state->last_use) out["lastUse"] = format_micros(*state->last_use);
    if (const auto end = state->terms.policy->not_after()) out["validUntil"] = format_micros(*end);
  }
  return out;
}

// The one of the path. Errors: not_found, and the store's.
Result<negotiation::Agreement> agreement_of(const ManagementApiParts& parts, const Call& call) {
  const AgreementId id(call.parameters.front());
  auto found = negotiation::find_agreement(parts.store, id);
  if (!found) return fail(std::move(found));
  if (!*found) {
    return fail(ErrorKind::not_found, {"api.unknown-agreement", {{"agreement", id.value}}});
  }
  return std::move(**found);
}

}  // namespace

awaitable<HttpResponse> get_agreements(ManagementParts parts, Call& call) {
  const std::string wanted = call.query("state");
  const auto show = [&](const Row& row) -> Result<Json> {
    const auto agreement = negotiation::parse_agreement(row);
    if (!agreement) return tl::unexpected(agreement.error());
    Json item = agreement_json(*agreement, parts->enforcer);
    return wanted.empty() || item["state"] == wanted ? item : Json();
  };
  const std::string state = wanted == "suspended" ? "active" : wanted;
  co_return list_of_rows(call, parts->store, {"agreement", state, {}, {}, 0}, show);
}

awaitable<HttpResponse> get_agreement(ManagementParts parts, Call& call) {
  const auto agreement = agreement_of(*parts, call);
  if (!agreement) co_return problem(agreement.error(), call.lang);
  Json body = agreement_json(*agreement, parts->enforcer);
  body["policy"] = Json::parse(agreement->document, nullptr, false);
  co_return json_response(200, body);
}

awaitable<HttpResponse> get_history(ManagementParts parts, Call& call) {
  auto story = co_await parts->connector.history(AgreementId(call.parameters.front()), call.lang);
  if (!story) co_return problem(story.error(), call.lang);
  co_return json_response(200, *story);
}

awaitable<HttpResponse> get_use_notices(ManagementParts parts, Call& call) {
  const auto agreement = agreement_of(*parts, call);
  if (!agreement) co_return problem(agreement.error(), call.lang);
  const auto shown = parts->informer.shown(agreement->id);
  if (!shown) co_return problem(shown.error(), call.lang);
  co_return json_response(200, *shown);
}

}  // namespace tally::api
