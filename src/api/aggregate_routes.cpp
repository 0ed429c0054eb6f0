#include "tally/api/aggregate_routes.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/api/provider_call.hpp"
#include "tally/odrl/terms.hpp"

#include "acts.hpp"
#include "sending.hpp"

namespace tally::api {

namespace {

std::vector<std::string> purposes_of(const Call& call) {
  std::vector<std::string> out;
  for (const auto& [key, value] : call.target.query) {
    if (key == "purpose") out.push_back(value);
  }
  return out;
}

Result<aggregates::Query> query_of(const Call& call, const Limits& limits) {
  if (call.request.body.size() > aggregates::query_bytes) {
    const Message large{
        "aggregates.query-too-large", {{"most", std::to_string(aggregates::query_bytes)}}};
    return fail(ErrorKind::invalid, large);
  }
  const auto document = call.json(limits);
  if (!document) return tl::unexpected(document.error());
  return aggregates::read_query(*document);
}

// --- the provider's side ---

using PeerParts = std::shared_ptr<const PeerAggregateParts>;

// What the consumer says that its application is for: within what was agreed.
Result<std::vector<std::string>> narrowed(
    std::vector<std::string> agreed, std::vector<std::string> asked
) {
  if (asked.empty()) return agreed;
  for (const auto& one : asked) {
    if (agreed.empty() || std::ranges::find(agreed, one) != agreed.end()) continue;
    return fail(ErrorKind::forbidden, {"api.purpose-not-agreed", {{"purpose", one}}});
  }
  return asked;
}

Result<transfer::TokenGrant> opened_by(const transfer::TokenRegistry& tokens, const Call& call) {
  const auto found = tokens.find(data_token(call.caller), *call.caller.peer);
  if (const auto* refused = std::get_if<transfer::TokenRefusal>(&found)) {
    const bool renewed = *refused == transfer::TokenRefusal::certificate_changed;
    const Message why{renewed ? "api.certificate-changed" : "api.unknown-data-token", {}};
    return fail(ErrorKind::unauthenticated, why);
  }
  const auto& grant = *std::get<transfer::TokenGrantPtr>(found);
  // A token opens its own transfer and nothing else.
  if (grant.transfer.value != call.parameters.front()) {
    return fail(ErrorKind::unauthenticated, {"api.unknown-data-token", {}});
  }
  // Data that are pulled are counted where they go.
  if (grant.action == odrl::iri::archive) {
    return fail(ErrorKind::conflict, {"api.aggregate-of-pull", {}});
  }
  return grant;
}

std::shared_ptr<Sending> sending_of(usage::Grant grant, std::string_view body) {
  auto out = std::make_shared<Sending>();
  out->grants.push_back(std::move(grant));
  out->content = digest_text(sha256(body));
  out->read_whole = true;
  return out;
}

awaitable<HttpResponse> tell(PeerParts parts, aggregates::Answer answer, Lang lang) {
  HttpResponse response;
  response.headers.set("Content-Type", "application/json");
  response.headers.set("Tally-Use", answer.grant.use.value);
  if (answer.repeated) response.headers.set("Tally-Use-Repeated", "true");
  auto close = completion(parts->enforcer, sending_of(answer.grant, answer.body), nullptr);
  if (parts->receipts != nullptr) {
    const auto receipt = co_await parts->receipts->receipt(answer.grant);
    if (!receipt) {
      close(0, false);
      co_return problem(receipt.error(), lang);
    }
    response.headers.set("Tally-Use-Receipt", audit::to_header(*receipt));
  }
  response.body = std::move(answer.body);
  response.on_sent = std::move(close);
  co_return response;
}

awaitable<HttpResponse> answer_peer(PeerParts parts, Call& call) {
  if (auto closed = parts->closed()) co_return problem(*closed, call.lang);
  auto opened = opened_by(parts->tokens, call);
  if (!opened) co_return problem(opened.error(), call.lang);
  auto query = query_of(call, parts->limits);
  if (!query) co_return problem(query.error(), call.lang);
  const auto asset = parts->assets.of(opened->agreement);
  if (!asset) co_return problem(asset.error(), call.lang);
  auto source = parts->sources.source((*asset)->source);
  if (!source) co_return problem(500, {"api.internal", {}}, call.lang);
  auto purposes = narrowed((*asset)->purposes, purposes_of(call));
  if (!purposes) co_return problem(purposes.error(), call.lang);

  aggregates::Ask ask;
  ask.act.agreement = opened->agreement;
  ask.act.action = std::string(odrl::iri::aggregate);
  ask.act.party = opened->consumer;
  ask.act.purposes = std::move(*purposes);
  ask.act.purpose_source = odrl::Source::asserted;
  ask.act.by_credential = call.caller.peer->certificate_sha256 == identity::by_credential;
  ask.act.process = opened->transfer;
  // What is held for others is answered by call and pull alone, each an act of passing on under
  // the agreement it is held under; groups over it have no such act and are refused.
  if (!(*asset)->held_under.empty()) ask.act.cannot = Message{"api.not-passed-on", {}};
  ask.query = std::move(*query);
  ask.source = std::move(*source);
  ask.schema = (*asset)->schema;
  ask.keys = parts->keys_of(opened->agreement);
  auto answered = co_await parts->aggregates.answer(std::move(ask));
  if (!answered) co_return problem(answered.error(), call.lang);
  if (const auto* refusal = std::get_if<usage::Refusal>(&*answered)) {
    co_return refusal_response(*refusal, call.lang);
  }
  if (const auto* withheld = std::get_if<aggregates::Withheld>(&*answered)) {
    auto response = problem(403, withheld->reason, call.lang);
    response.headers.set("Tally-Use", withheld->use.value);
    co_return response;
  }
  auto answer = std::get<aggregates::Answer>(std::move(*answered));
  opened->access->moved();
  if (!opened->access->open()) {  // suspended or over meanwhile: told to nobody, and remembered
    completion(parts->enforcer, sending_of(std::move(answer.grant), answer.body), nullptr)(
        0, false
    );
    co_return problem(401, {"api.unknown-data-token", {}}, call.lang);
  }
  co_return co_await tell(parts, std::move(answer), call.lang);
}

// --- the consumer's side ---

using AppParts = std::shared_ptr<const AppAggregateParts>;

constexpr std::size_t answer_bytes = 8 << 20;

std::string with_purposes(std::string url, const std::vector<std::string>& purposes) {
  char separator = '?';
  for (const auto& one : purposes) {
    url += separator;
    url += "purpose=" + percent_encode_segment(one);
    separator = '&';
  }
  return url;
}

// The provider's answer as the application sees it.
HttpResponse pass_on(PeerAnswer answer, Lang lang) {
  const bool readable = answer.headers.get("Content-Type").value_or("") == "application/json" &&
                        Json::accept(answer.body);
  if (answer.status != 200 || !readable) {
    return problem_of_provider(answer.status, answer.headers, std::move(answer.body), lang);
  }
  HttpResponse out;
  out.headers.set("Content-Type", "application/json");
  copy_use_headers(answer.headers, out);
  out.body = std::move(answer.body);
  return out;
}

awaitable<HttpResponse> ask_provider(AppParts parts, Call& call) {
  if (auto closed = parts->calls.closed()) co_return problem(*closed, call.lang);
  const auto app = parts->apps.find_by_token(data_token(call.caller));
  if (!app) co_return problem(401, {"api.unknown-token", {}}, call.lang);
  const AgreementId agreement(call.parameters.front());
  if (!usage::may_use(*app, agreement)) {
    co_return problem(
        403,
        {"api.app-not-for-agreement", {{"app", app->id.value}, {"agreement", agreement.value}}},
        call.lang
    );
  }
  auto query = query_of(call, parts->limits);
  if (!query) co_return problem(query.error(), call.lang);
  const auto known = parts->enforcer.state(agreement);
  if (!known || known->terms.our_side != odrl::Side::consumer) {
    co_return problem(404, {"api.unknown-agreement", {{"agreement", agreement.value}}}, call.lang);
  }
  auto act = act_of_app(
      *app, parts->self, agreement, std::string(odrl::iri::aggregate), claims_of(call.target)
  );
  const auto purposes = act.purposes;
  auto authorised = co_await parts->enforcer.authorise(act);
  if (!authorised) co_return problem(authorised.error(), call.lang);
  if (const auto* refusal = std::get_if<usage::Refusal>(&*authorised)) {
    co_return refusal_response(*refusal, call.lang);
  }
  auto grant = std::get<usage::Grant>(std::move(*authorised));
  // Until the provider has answered, nothing was used.
  auto request = co_await request_to_provider(parts->calls, agreement, known->terms.provider, call);
  if (!request) {
    co_await parts->enforcer.abort(std::move(grant));
    co_return problem(request.error(), call.lang);
  }
  request->url = with_purposes(std::move(request->url), purposes);
  request->http.method = "POST";
  request->http.headers.set("Content-Type", "application/json");
  request->http.body = to_jcs(aggregates::to_json(*query));
  request->answer_bytes = answer_bytes;
  auto answered = co_await parts->calls.peer.send(*std::move(request));
  if (!answered) {
    co_await parts->enforcer.abort(std::move(grant));
    co_return problem(answered.error(), call.lang);
  }
  auto response = pass_on(std::move(*answered), call.lang);
  if (response.status != 200) {
    co_await parts->enforcer.abort(std::move(grant));
    co_return response;
  }
  auto sending = sending_of(std::move(grant), response.body);
  if (!may_go_on(parts->enforcer, *sending)) {
    co_return co_await refuse_stopped(
        parts->enforcer, std::move(sending->grants), std::move(act), call.lang
    );
  }
  response.may_go_on = [parts, sending] { return may_go_on(parts->enforcer, *sending); };
  response.on_sent = completion(parts->enforcer, std::move(sending), nullptr);
  co_return response;
}

}  // namespace

std::vector<Route> peer_aggregate_routes(PeerAggregateParts given) {
  auto parts = std::make_shared<const PeerAggregateParts>(std::move(given));
  const RouteHandler answer = [parts](Call& call) { return answer_peer(parts, call); };
  return {{"POST", "/data/:pid", Role::peer, Where::home, answer}};
}

std::vector<Route> app_aggregate_routes(AppAggregateParts given) {
  auto parts = std::make_shared<const AppAggregateParts>(std::move(given));
  const RouteHandler ask = [parts](Call& call) { return ask_provider(parts, call); };
  return {{"POST", "/api/v1/aggregates/:agreement", Role::app, Where::home, ask}};
}

}  // namespace tally::api
