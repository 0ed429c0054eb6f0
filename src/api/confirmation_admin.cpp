#include "confirmation_admin.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/negotiation/agreement.hpp"

#include "duties_json.hpp"
#include "lists.hpp"
#include "members.hpp"

namespace tally::api {

namespace {

transfer::DecidedBy decider_of(const Call& call) {
  return {std::string(to_string(call.role)), call.credential};
}

Json confirmed_json(const transfer::Confirmed& one) {
  return {
      {"duty", one.duty.value},
      {"confirmation", one.confirmation},
      {"at", format_micros(one.at)},
      {"told", one.told}};
}

awaitable<HttpResponse> ask(
    transfer::Confirmations& confirmations, const Limits& limits, AppId app, Call& call
) {
  const auto body = call.request.body.empty() ? Result<Json>(Json::object()) : call.json(limits);
  if (!body) co_return problem(body.error(), call.lang);
  auto duty = string_member_or(*body, "duty", "", "");
  if (!duty) co_return problem(duty.error(), call.lang);
  auto said = said_reason(call, limits);
  if (!said) co_return problem(said.error(), call.lang);
  AgreementId id(call.parameters.front());
  auto asked =
      co_await confirmations.ask(std::move(id), *std::move(duty), *std::move(said), std::move(app));
  if (!asked) co_return problem(asked.error(), call.lang);
  co_return json_response(
      202,
      {{"request", asked->request},
       {"duty", asked->duty.value},
       {"since", format_micros(asked->since)}}
  );
}

}  // namespace

awaitable<HttpResponse> get_duties(ManagementParts parts, Call& call) {
  const AgreementId id(call.parameters.front());
  if (!parts->enforcer.state(id)) {
    co_return problem(404, {"api.unknown-agreement", {{"agreement", id.value}}}, call.lang);
  }
  const auto duties = parts->enforcer.duties(id);
  const auto references = parts->confirmations.references(id);
  if (!references) co_return problem(references.error(), call.lang);
  Json items = duties_json(duties);
  for (std::size_t i = 0; i < duties.size(); ++i) {
    Json confirmations = Json::array();
    for (const auto& one : duties[i].confirmations) {
      Json item = {{"id", one.id}, {"at", format_micros(one.at)}};
      if (one.withdrawn) item["withdrawn"] = format_micros(*one.withdrawn);
      for (const auto& known : *references) {
        if (known["id"] != one.id) continue;
        item["reference"] = known["reference"];
        item["opening"] = known["opening"];
      }
      confirmations.push_back(std::move(item));
    }
    items[i]["confirmations"] = std::move(confirmations);
  }
  co_return cut_list(call, {{"items", std::move(items)}}, in_their_order);
}

awaitable<HttpResponse> post_confirmation(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  transfer::Confirming given;
  auto duty = string_member_or(*body, "duty", "", "");
  if (!duty) co_return problem(duty.error(), call.lang);
  given.duty = *std::move(duty);
  auto reference = string_member(*body, "reference", "");
  if (!reference) co_return problem(reference.error(), call.lang);
  given.reference = *std::move(reference);
  if (body->contains("at")) {
    const auto text = string_member(*body, "at", "");
    const auto at = text ? parse_date_time(*text) : std::nullopt;
    if (!at || !at->had_zone) {
      const Message wrong{
          "core.member-value", {{"member", "at"}, {"expected", "2030-01-01T00:00:00Z"}}};
      co_return problem(400, wrong, call.lang, "/at");
    }
    given.at = at->instant;
  }
  AgreementId id(call.parameters.front());
  auto done =
      co_await parts->confirmations.confirm(std::move(id), std::move(given), decider_of(call));
  if (!done) co_return problem(done.error(), call.lang);
  co_return json_response(201, confirmed_json(*done));
}

awaitable<HttpResponse> post_withdrawal(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  const char* member = body->contains("confirmation") ? "confirmation" : "reference";
  auto meant = string_member(*body, member, "");
  if (!meant) co_return problem(meant.error(), call.lang);
  AgreementId id(call.parameters.front());
  auto done =
      co_await parts->confirmations.withdraw(std::move(id), *std::move(meant), decider_of(call));
  if (!done) co_return problem(done.error(), call.lang);
  Json items = Json::array();
  for (const auto& one : *done) items.push_back(confirmed_json(one));
  co_return json_response(200, {{"items", std::move(items)}});
}

awaitable<HttpResponse> post_consent_request(ManagementParts parts, Call& call) {
  AppId nobody;
  co_return co_await ask(parts->confirmations, parts->limits, std::move(nobody), call);
}

awaitable<HttpResponse> post_consent_request_of_app(
    std::shared_ptr<const AppApiParts> parts, Call& call
) {
  const auto app = parts->apps.find_by_token(bearer_token(call.caller));
  if (!app) co_return problem(401, {"api.unknown-token", {}}, call.lang);
  const AgreementId id(call.parameters.front());
  if (parts->confirmations == nullptr || !usage::may_use(*app, id) || !parts->enforcer.state(id)) {
    co_return problem(404, {"api.unknown-agreement", {{"agreement", id.value}}}, call.lang);
  }
  AppId asking = app->id;
  co_return co_await ask(*parts->confirmations, parts->limits, std::move(asking), call);
}

}  // namespace tally::api
