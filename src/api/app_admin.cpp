#include "app_admin.hpp"

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "lists.hpp"
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

awaitable<HttpResponse> get_apps(ManagementParts parts, Call& call) {
  Json items = Json::array();
  for (const auto& app : parts->apps.list()) items.push_back(app_json(app));
  co_return cut_list(call, {{"items", std::move(items)}}, "id");
}

awaitable<HttpResponse> post_app(ManagementParts parts, Call& call) {
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

awaitable<HttpResponse> delete_app(ManagementParts parts, Call& call) {
  AppId id(call.parameters.front());
  auto removed = co_await parts->apps.remove(std::move(id));
  if (!removed) co_return problem(removed.error(), call.lang);
  co_return empty_response(204);
}

}  // namespace tally::api
