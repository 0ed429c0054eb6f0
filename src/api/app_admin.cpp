#include "app_admin.hpp"

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/odrl/exchange.hpp"
#include "tally/odrl/explain.hpp"
#include "tally/odrl/vocabulary.hpp"

#include "members.hpp"

namespace tally::api {

namespace {

Json app_json(const usage::App& app) {
  Json agreements = Json::array();
  for (const auto& id : app.agreements) agreements.push_back(id.value);
  return {
      {"id", app.id.value},
      {"purposes", app.purposes},
      {"roles", app.roles},
      {"agreements", std::move(agreements)}};
}

}  // namespace

awaitable<HttpResponse> get_apps(std::shared_ptr<const ManagementApiParts> parts, Call&) {
  std::vector<Json> items;
  for (const auto& app : parts->apps.list()) items.push_back(app_json(app));
  co_return json_response(200, {{"items", std::move(items)}});
}

awaitable<HttpResponse> post_app(std::shared_ptr<const ManagementApiParts> parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  const auto id = string_member(*body, "id", "");
  if (!id) co_return problem(id.error(), call.lang);
  auto purposes = texts_member(*body, "purposes");
  if (!purposes) co_return problem(purposes.error(), call.lang);
  auto roles = texts_member(*body, "roles");
  if (!roles) co_return problem(roles.error(), call.lang);
  auto agreements = texts_member(*body, "agreements");
  if (!agreements) co_return problem(agreements.error(), call.lang);
  if (purposes->empty()) {
    co_return problem(400, {"api.app-without-purpose", {{"app", *id}}}, call.lang, "/purposes");
  }
  usage::App app;
  app.id = AppId(*id);
  app.purposes = std::move(*purposes);
  app.roles = std::move(*roles);
  for (auto& agreement : *agreements) app.agreements.emplace_back(std::move(agreement));
  auto added = co_await parts->apps.add(std::move(app));
  if (!added) co_return problem(added.error(), call.lang);
  Json answer = app_json(added->app);
  answer["token"] = added->token;
  co_return json_response(201, answer);
}

awaitable<HttpResponse> delete_app(std::shared_ptr<const ManagementApiParts> parts, Call& call) {
  AppId id(call.parameters.front());
  auto removed = co_await parts->apps.remove(std::move(id));
  if (!removed) co_return problem(removed.error(), call.lang);
  co_return empty_response(204);
}

// What would be decided, without a use and without a record.
awaitable<HttpResponse> post_decision(std::shared_ptr<const ManagementApiParts> parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  const auto agreement = string_member(*body, "agreement", "");
  if (!agreement) co_return problem(agreement.error(), call.lang);
  const auto app_id = string_member(*body, "app", "");
  if (!app_id) co_return problem(app_id.error(), call.lang);
  const auto purpose = string_member_or(*body, "purpose", "", "");
  if (!purpose) co_return problem(purpose.error(), call.lang);
  const auto action = string_member_or(*body, "action", std::string(odrl::iri::read), "");
  if (!action) co_return problem(action.error(), call.lang);

  usage::Act act;
  act.agreement = AgreementId(*agreement);
  act.action = *action;
  act.party = parts->self;
  act.app = AppId(*app_id);
  act.purpose_source = odrl::Source::registration;
  bool known = false;
  std::vector<std::string> asked;
  if (!purpose->empty()) asked.push_back(*purpose);
  for (const auto& app : parts->apps.list()) {
    if (app.id.value != *app_id) continue;
    known = true;
    auto narrowed = usage::narrow(app, asked);
    act.purposes = std::move(narrowed.purposes);
    act.purposes_not_registered = std::move(narrowed.not_registered);
  }
  if (!known) co_return problem(404, {"api.unknown-app", {{"app", *app_id}}}, call.lang);
  const auto decision = parts->enforcer.dry_run(act);
  if (!decision) co_return problem(decision.error(), call.lang);
  Json reasons = Json::array();
  for (const auto& reason : odrl::explain(*decision)) {
    reasons.push_back(shown_message(reason, call.lang));
  }
  co_return json_response(
      200,
      {{"decision", decision->permit ? "permit" : "deny"},
       {"reason", odrl::to_string(decision->reason)},
       {"rule", decision->decisive_rule.value},
       {"reasons", std::move(reasons)},
       {"report", odrl::to_json(*decision, call.lang)}}
  );
}

}  // namespace tally::api
