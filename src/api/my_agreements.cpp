#include "my_agreements.hpp"

#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/api/form_of_act.hpp"
#include "tally/odrl/terms.hpp"

#include "acts.hpp"
#include "duties_json.hpp"
#include "limits_json.hpp"
#include "lists.hpp"

namespace tally::api {

namespace {

// What an application can do with what custody holds.
constexpr auto acts =
    std::to_array<std::string_view>({odrl::iri::read, odrl::iri::derive, odrl::iri::export_});

std::string short_name(std::string_view action) {
  return std::string(odrl::as_written(action));
}

// One agreement as the application sees it: dry runs of what it could do, with all that it is
// registered for and with each purpose alone.
Json shown(
    const AppApiParts& parts, const usage::App& app, const usage::AgreementState& state, Lang lang
) {
  const AgreementId& id = state.terms.id;
  const auto held = parts.held.held(id);
  const auto rehearse = [&](std::string_view action, Claims claims) {
    auto act =
        act_of_app(app, parts.self, id, std::string(action), claims, held ? &*held : nullptr);
    if (held) form_of_act(parts.enforcer, *held->shapes, act);
    return parts.enforcer.dry_run(act);
  };
  Json item = {
      {"agreement", id.value},
      {"asset", state.terms.asset.value},
      {"provider", {{"domain", state.terms.provider.domain}, {"uri", state.terms.provider.uri}}},
      {"state", state.closed == usage::Closed::open ? "active" : usage::to_string(state.closed)},
      {"held", held.has_value()},
      {"limits", limits_json(state)}};
  if (auto duties = duties_json(parts.enforcer.duties(id)); !duties.empty()) {
    item["duties"] = std::move(duties);
  }
  Json actions = Json::array();
  for (const auto action : acts) {
    const auto rehearsed = rehearse(action, {});
    if (rehearsed && !rehearsed->refusal) actions.push_back(short_name(action));
  }
  item["actions"] = std::move(actions);
  Json purposes = Json::array();
  for (const auto& purpose : app.purposes) {
    const auto rehearsed = rehearse(odrl::iri::read, {{purpose}, {}});
    if (!rehearsed || rehearsed->refusal) continue;
    purposes.push_back(purpose);
    // What a read for it would be told.
    const auto& left = rehearsed->left;
    if (left && (!item.contains("remainingUses") || item["remainingUses"] < *left + 1)) {
      item["remainingUses"] = *left + 1;
    }
    if (const auto& until = rehearsed->decision.valid_until;
        until && !item.contains("validUntil")) {
      item["validUntil"] = format_seconds(*until);
    }
  }
  if (purposes.empty()) {
    const auto rehearsed = rehearse(odrl::iri::read, {});
    if (rehearsed && rehearsed->refusal) {
      item["refusal"] = shown_message(rehearsed->refusal->code, lang);
    }
  }
  item["purposes"] = std::move(purposes);
  if (held) {
    item["mediaType"] = held->media_type;
    item["bytes"] = held->length;
  }
  return item;
}

}  // namespace

awaitable<HttpResponse> get_my_agreements(std::shared_ptr<const AppApiParts> parts, Call& call) {
  const auto app = parts->apps.find_by_token(bearer_token(call.caller));
  if (!app) co_return problem(401, {"api.unknown-token", {}}, call.lang);
  const auto wish = page_wish(call);
  if (!wish) co_return problem(wish.error(), call.lang);
  const AgreementId after(wish->after);
  Json items = Json::array();
  std::string next;
  for (const auto& id : parts->enforcer.agreements()) {
    if (id <= after || !usage::may_use(*app, id)) continue;
    const auto state = parts->enforcer.state(id);
    if (!state || state->terms.our_side != odrl::Side::consumer) continue;
    if (items.size() == wish->limit) {
      next = items.back()["agreement"];
      break;
    }
    items.push_back(shown(*parts, *app, *state, call.lang));
  }
  co_return list_response(call, {{"items", std::move(items)}}, next);
}

}  // namespace tally::api
