#include "tally/api/management_routes.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"
#include "tally/odrl/vocabulary.hpp"

#include "agreement_admin.hpp"
#include "app_admin.hpp"
#include "approval_routes.hpp"
#include "catalog_tree.hpp"
#include "confirmation_admin.hpp"
#include "connector_admin.hpp"
#include "custody_admin.hpp"
#include "decision_routes.hpp"
#include "event_routes.hpp"
#include "hold_admin.hpp"
#include "lists.hpp"
#include "members.hpp"
#include "negotiation_routes.hpp"
#include "request_span.hpp"
#include "statement_admin.hpp"
#include "transfer_admin.hpp"
#include "witness_admin.hpp"

namespace tally::api {

namespace {

awaitable<HttpResponse> get_lineage(ManagementParts parts, Call& call) {
  auto trace = co_await parts->connector.lineage(call.parameters.front());
  if (!trace) co_return problem(trace.error(), call.lang);
  co_return json_response(200, *trace);
}

awaitable<HttpResponse> post_catalog(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  auto party = peer_member(*body);
  if (!party) co_return problem(party.error(), call.lang);
  CatalogOrder order;
  order.party = std::move(*party);
  auto wishes = read_wishes(*body, order);
  if (!wishes) co_return problem(wishes.error(), call.lang);
  const RemotePeers wire{parts->peer, parts->peers, parts->limits, parts->clock, trace_of(call)};
  auto fetching = fetch_catalog_tree(wire, std::move(order), call.lang);
  auto catalog = co_await std::move(fetching);
  if (!catalog) co_return problem(catalog.error(), call.lang);
  co_return json_response(200, *catalog);
}

awaitable<HttpResponse> post_transfer(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  const auto agreement = string_member(*body, "agreement", "");
  if (!agreement) co_return problem(agreement.error(), call.lang);
  const auto format = string_member_or(*body, "format", "HttpData-PULL", "");
  if (!format) co_return problem(format.error(), call.lang);
  transfer::TransferOrder order{AgreementId(*agreement), *format};
  auto begun = co_await parts->transfers.request(std::move(order));
  if (!begun) co_return problem(begun.error(), call.lang);
  co_return json_response(202, {{"id", begun->value}});
}

awaitable<HttpResponse> get_address(ManagementParts parts, Call& call) {
  const auto address = parts->transfers.data_address(Pid(call.parameters.front()));
  if (!address) co_return problem(address.error(), call.lang);
  auto response = json_response(200, *address);
  response.headers.set("Cache-Control", "no-store");
  co_return response;
}

template <class Service>
RouteHandler list_of(Service& service) {
  return [&service](Call& call) -> awaitable<HttpResponse> {
    const auto wish = page_wish(call);
    if (!wish) co_return problem(wish.error(), call.lang);
    auto items = service.list(wish->after, wish->limit + 1);
    if (!items) co_return problem(items.error(), call.lang);
    std::string next;
    if (cut_to_page(*items, *wish)) next = items->back().value("id", std::string());
    co_return list_response(call, {{"items", std::move(*items)}}, next);
  };
}

template <class Service>
RouteHandler one_of(Service& service) {
  return [&service](Call& call) -> awaitable<HttpResponse> {
    auto item = service.describe(Pid(call.parameters.front()));
    if (!item) co_return problem(item.error(), call.lang);
    tell(*item, "reason", call.lang);
    co_return json_response(200, *item);
  };
}

// Rows of one kind as they stand in the store, for what has no service of its own.
RouteHandler rows_of(ManagementParts parts, std::string kind) {
  return [parts, kind = std::move(kind)](Call& call) -> awaitable<HttpResponse> {
    const auto show = [](const Row& row) -> Result<Json> {
      Json item = Json::parse(row.body, nullptr, false);
      if (!item.is_object()) item = Json::object();
      item["id"] = row.id;
      item["state"] = row.state;
      if (!item.contains("agreement")) item["agreement"] = row.owner;
      return item;
    };
    const Store::Query query{kind, call.query("state"), call.query("owner"), {}, 0};
    co_return list_of_rows(call, parts->store, query, show);
  };
}

awaitable<HttpResponse> put_document(ManagementParts parts, Call& call, bool asset) {
  auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  const std::string& id = call.parameters.front();
  auto stored = asset ? co_await parts->catalog.put_asset(AssetId(id), std::move(*body))
                      : co_await parts->catalog.put_policy(id, std::move(*body));
  if (!stored) co_return problem(stored.error(), call.lang);
  co_return empty_response(204);
}

awaitable<HttpResponse> delete_document(ManagementParts parts, Call& call, bool asset) {
  const std::string& id = call.parameters.front();
  auto removed = asset ? co_await parts->catalog.remove_asset(AssetId(id))
                       : co_await parts->catalog.remove_policy(id);
  if (!removed) co_return problem(removed.error(), call.lang);
  co_return empty_response(204);
}

// The id of a path as a record may hold it: what does not look like one could be anything.
std::string recorded_target(const Call& call) {
  if (call.parameters.empty()) return {};
  const std::string& id = call.parameters.front();
  const bool plain = id.size() <= 256 && std::all_of(id.begin(), id.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') ||
                              std::string_view(":._/#-").find(c) != std::string_view::npos;
                     });
  return plain ? id : digest_text(sha256(id));
}

}  // namespace

Admit admit_tokens(std::vector<ApiToken> tokens) {
  return [tokens = std::move(tokens
          )](const HttpRequest&, const identity::Caller& caller) -> Result<Admission> {
    constexpr std::string_view scheme = "Bearer ";
    const std::string_view shown = caller.authorization;
    if (!shown.starts_with(scheme)) {
      return fail(ErrorKind::unauthenticated, {"api.no-token", {}});
    }
    const auto token = shown.substr(scheme.size());
    const auto digest = to_hex(sha256(token));
    const ApiToken* found = nullptr;
    for (const auto& candidate : tokens) {
      if (equal_secret(candidate.sha256, digest)) found = &candidate;
    }
    if (found == nullptr) return fail(ErrorKind::unauthenticated, {"api.unknown-token", {}});
    return Admission{found->role, found->name, found->sha256.substr(0, 16)};
  };
}

std::vector<Route> management_routes(ManagementApiParts given) {
  auto parts = std::make_shared<const ManagementApiParts>(std::move(given));
  auto& negotiations = parts->negotiations;
  auto& transfers = parts->transfers;
  // A function of (parts, call) as a handler.
  const auto on = [parts](awaitable<HttpResponse> (*function)(ManagementParts, Call&)
                  ) -> RouteHandler {
    return [parts, function](Call& call) { return function(parts, call); };
  };
  const RouteHandler live = [](Call&) -> awaitable<HttpResponse> {
    co_return json_response(200, {{"status", "live"}});
  };
  // Nothing in it depends on this connector, but what is enforced tells a version.
  const RouteHandler policy_terms = [](Call&) -> awaitable<HttpResponse> {
    co_return json_response(200, odrl::policy_terms());
  };
  const RouteHandler status = [parts](Call&) -> awaitable<HttpResponse> {
    co_return json_response(200, parts->connector.status());
  };
  const RouteHandler assets = [parts](Call& call) -> awaitable<HttpResponse> {
    co_return cut_list(call, {{"items", parts->catalog.assets()}}, "id");
  };
  const RouteHandler policies = [parts](Call& call) -> awaitable<HttpResponse> {
    Json body = {
        {"items", parts->catalog.policies()},
        {"problems", parts->catalog.problems(call.lang)},
        {"warnings", parts->catalog.warnings(call.lang)}};
    co_return cut_list(call, std::move(body), "id");
  };
  const RouteHandler rules = [parts](Call& call) -> awaitable<HttpResponse> {
    Json body = {{"items", parts->rules.rules()}, {"problems", parts->rules.problems(call.lang)}};
    co_return cut_list(call, std::move(body), in_their_order);
  };
  // What a handler read of the store leaves the connector only once its records are in the log.
  const auto shown = [parts](RouteHandler handler) -> RouteHandler {
    return [parts, handler = std::move(handler)](Call& call) -> awaitable<HttpResponse> {
      auto response = co_await handler(call);
      co_await parts->settled();
      co_return response;
    };
  };
  // New work begins only while it can be recorded; endings and questions are always taken.
  const auto begins = [parts](RouteHandler handler) -> RouteHandler {
    return [parts, handler = std::move(handler)](Call& call) -> awaitable<HttpResponse> {
      if (const auto closed = parts->closed()) co_return problem(*closed, call.lang);
      co_return co_await handler(call);
    };
  };
  // Who ordered what is in the log before it is looked at, whatever comes of it.
  const auto recorded =
      [parts](std::string action, bool ends, RouteHandler handler) -> RouteHandler {
    return [parts, action = std::move(action), ends, handler = std::move(handler)](Call& call
           ) -> awaitable<HttpResponse> {
      AdminOrder order{
          action, recorded_target(call), call.role, call.principal, call.credential, ends};
      auto noted = co_await parts->connector.ordered(std::move(order));
      if (!noted) co_return problem(noted.error(), call.lang);
      co_return co_await handler(call);
    };
  };
  const auto starts = [begins, recorded](std::string action, RouteHandler handler) {
    return begins(recorded(std::move(action), false, std::move(handler)));
  };
  const auto ends = [recorded](std::string action, RouteHandler handler) {
    return recorded(std::move(action), true, std::move(handler));
  };
  const auto put = [parts, starts](bool asset) -> RouteHandler {
    return starts(asset ? "put-asset" : "put-policy", [parts, asset](Call& call) {
      return put_document(parts, call, asset);
    });
  };
  const auto erase = [parts, starts](bool asset) -> RouteHandler {
    return starts(asset ? "remove-asset" : "remove-policy", [parts, asset](Call& call) {
      return delete_document(parts, call, asset);
    });
  };

  const auto anyone = Role::anyone;
  const auto auditor = Role::auditor;
  const auto operates = Role::operator_;
  const auto admin = Role::admin;
  const auto here = Where::connection;
  const auto home = Where::home;
  std::vector<Route> routes{
      {"GET", "/health/live", anyone, here, live},
      {"GET", "/health/ready", anyone, here, on(get_ready)},
      {"GET", "/metrics", auditor, home, on(get_metrics)},
      {"GET", "/api/v1/status", auditor, home, status},
      {"GET", "/api/v1/assets", auditor, home, assets},
      {"PUT", "/api/v1/assets/:id", admin, home, put(true)},
      {"DELETE", "/api/v1/assets/:id", admin, home, erase(true)},
      {"GET", "/api/v1/policies", auditor, home, policies},
      {"GET", "/api/v1/policy-terms", auditor, home, policy_terms},
      {"PUT", "/api/v1/policies/:id", admin, home, put(false)},
      {"DELETE", "/api/v1/policies/:id", admin, home, erase(false)},
      {"GET", "/api/v1/rules", auditor, home, rules},
      {"POST", "/api/v1/catalog", operates, home, on(post_catalog)},
      {"POST",
       "/api/v1/negotiations",
       operates,
       home,
       starts("begin-negotiation", on(post_negotiation))},
      {"GET", "/api/v1/negotiations", auditor, home, shown(list_of(negotiations))},
      {"GET", "/api/v1/negotiations/:id", auditor, home, shown(one_of(negotiations))},
      {"POST",
       "/api/v1/negotiations/:id/termination",
       operates,
       home,
       ends("terminate-negotiation", on(terminate_negotiation))},
      {"GET", "/api/v1/approvals", auditor, home, shown(on(get_approvals))},
      {"POST",
       "/api/v1/approvals/:id/approve",
       operates,
       home,
       starts("approve-negotiation", on(post_approve))},
      {"POST",
       "/api/v1/approvals/:id/reject",
       operates,
       home,
       ends("reject-negotiation", on(post_reject))},
      {"POST",
       "/api/v1/approvals/:id/counter",
       operates,
       home,
       starts("counter-negotiation", on(post_counter))},
      {"GET", "/api/v1/events", auditor, home, on(get_events)},
      {"GET", "/api/v1/webhooks", auditor, home, on(get_webhooks)},
      {"GET", "/api/v1/agreements", auditor, home, shown(on(get_agreements))},
      {"POST", "/api/v1/agreements", admin, home, starts("import-agreement", on(post_agreement))},
      {"GET", "/api/v1/agreements/:id", auditor, home, shown(on(get_agreement))},
      {"GET", "/api/v1/agreements/:id/history", auditor, home, on(get_history)},
      {"GET", "/api/v1/agreements/:id/use-notices", auditor, home, shown(on(get_use_notices))},
      {"POST",
       "/api/v1/agreements/:id/termination",
       operates,
       home,
       ends("terminate-agreement", on(post_agreement_termination))},
      {"POST",
       "/api/v1/agreements/:id/suspension",
       operates,
       home,
       ends("suspend-agreement", on(post_agreement_suspension))},
      {"POST",
       "/api/v1/agreements/:id/resumption",
       operates,
       home,
       starts("resume-agreement", on(post_agreement_resumption))},
      {"GET", "/api/v1/agreements/:id/duties", auditor, home, shown(on(get_duties))},
      {"POST",
       "/api/v1/agreements/:id/confirmations",
       operates,
       home,
       starts("confirm-duty", on(post_confirmation))},
      {"POST",
       "/api/v1/agreements/:id/confirmations/withdrawal",
       operates,
       home,
       ends("withdraw-confirmation", on(post_withdrawal))},
      {"POST",
       "/api/v1/agreements/:id/consent-requests",
       operates,
       home,
       starts("ask-consent", on(post_consent_request))},
      {"POST",
       "/api/v1/agreements/:id/statements",
       operates,
       home,
       starts("ask-statements", on(post_statement_inquiry))},
      {"GET", "/api/v1/holds", auditor, home, shown(on(get_holds))},
      {"POST", "/api/v1/holds", operates, home, ends("place-hold", on(post_hold))},
      {"POST", "/api/v1/holds/orders", operates, home, ends("order-hold", on(post_hold_order))},
      {"POST", "/api/v1/holds/:id/lift", operates, home, starts("lift-hold", on(post_hold_lift))},
      {"POST", "/api/v1/transfers", operates, home, starts("begin-transfer", on(post_transfer))},
      {"GET", "/api/v1/transfers", auditor, home, shown(list_of(transfers))},
      {"GET", "/api/v1/transfers/:id", auditor, home, shown(one_of(transfers))},
      {"GET", "/api/v1/transfers/:id/address", operates, home, shown(on(get_address))},
      {"POST",
       "/api/v1/transfers/:id/termination",
       operates,
       home,
       ends("terminate-transfer", on(post_transfer_termination))},
      {"POST",
       "/api/v1/transfers/:id/suspension",
       operates,
       home,
       ends("suspend-transfer", on(post_suspension))},
      {"POST",
       "/api/v1/transfers/:id/resumption",
       operates,
       home,
       starts("resume-transfer", on(post_resumption))},
      {"POST",
       "/api/v1/transfers/:id/completion",
       operates,
       home,
       ends("complete-transfer", on(post_completion))},
      {"GET", "/api/v1/artefacts", auditor, home, shown(on(get_artefacts))},
      {"POST",
       "/api/v1/artefacts/:id/check",
       operates,
       home,
       starts("check-artefact", on(post_artefact_check))},
      {"GET", "/api/v1/custody", auditor, home, shown(on(get_custody))},
      {"POST",
       "/api/v1/custody/check",
       operates,
       home,
       starts("check-custody", on(post_custody_check))},
      {"POST",
       "/api/v1/custody/key-rotation",
       admin,
       home,
       starts("rotate-wrapping-key", on(post_wrapping_key_rotation))},
      {"GET", "/api/v1/lineage/:artefact", auditor, home, on(get_lineage)},
      {"GET", "/api/v1/statements", auditor, home, shown(rows_of(parts, "statement"))},
      {"GET",
       "/api/v1/statement-records",
       auditor,
       home,
       shown(rows_of(parts, "statement_record"))},
      {"GET", "/api/v1/deletion-records", auditor, home, shown(rows_of(parts, "deletion_record"))},
      {"POST", "/api/v1/apps", admin, home, starts("add-app", on(post_app))},
      {"GET", "/api/v1/apps", auditor, home, shown(on(get_apps))},
      {"DELETE", "/api/v1/apps/:id", admin, home, ends("remove-app", on(delete_app))},
      {"POST", "/api/v1/decisions", auditor, home, on(post_decision)},
      {"GET", "/api/v1/witness", auditor, home, shown(on(get_witness))},
      {"POST",
       "/api/v1/witness/:origin/lift",
       operates,
       home,
       starts("lift-contradiction", on(post_lift))},
      {"POST",
       "/api/v1/log-key/rotation",
       admin,
       home,
       starts("rotate-log-key", on(post_log_key_rotation))},
      {"POST", "/api/v1/log/pruning", admin, home, starts("prune-log", on(post_log_pruning))},
      {"POST", "/api/v1/reload", admin, home, recorded("reload", true, on(post_reload))},
      {"POST", "/api/v1/backups", admin, home, recorded("back-up", false, on(post_backup))},
      {"POST", "/api/v1/clock", admin, home, recorded("advance-clock", false, on(post_clock))},
      {"GET",
       "/api/v1/private/:seq",
       admin,
       home,
       recorded("open-private", false, on(get_opening))},
      {"POST", "/api/v1/private/erasures", admin, home, ends("erase-private", on(post_erasure))},
  };
  for (Route& route : routes) {
    if (route.method == "GET" && route.role != anyone) {
      route.handler = conditional(std::move(route.handler));
    }
  }
  return routes;
}

}  // namespace tally::api
