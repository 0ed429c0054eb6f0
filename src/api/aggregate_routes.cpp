#include "tally/api/aggregate_routes.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/odrl/terms.hpp"

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

// Closes the use when the transport is done with the answer.
std::function<void(std::uint64_t, bool)> completion(
    usage::Enforcer& enforcer, usage::Grant grant, std::string content
) {
  return [&enforcer,
          grant = std::move(grant),
          content = std::move(content)](std::uint64_t bytes, bool complete) {
    usage::Outcome outcome;
    outcome.bytes = bytes;
    outcome.complete = complete;
    if (complete) outcome.content = content;
    enforcer.complete(grant, std::move(outcome));
  };
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
  const auto& grant = std::get<transfer::TokenGrant>(found);
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

awaitable<HttpResponse> tell(PeerParts parts, aggregates::Answer answer, Lang lang) {
  HttpResponse response;
  response.headers.set("Content-Type", "application/json");
  response.headers.set("Tally-Use", answer.grant.use.value);
  if (answer.repeated) response.headers.set("Tally-Use-Repeated", "true");
  auto close =
      completion(parts->enforcer, answer.grant, digest_text(sha256(std::string_view(answer.body))));
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
  auto agreed = parts->assets.purposes_of(opened->agreement);
  if (!agreed) co_return problem(agreed.error(), call.lang);
  auto purposes = narrowed(std::move(*agreed), purposes_of(call));
  if (!purposes) co_return problem(purposes.error(), call.lang);

  aggregates::Ask ask;
  ask.act.agreement = opened->agreement;
  ask.act.action = std::string(odrl::iri::aggregate);
  ask.act.party = opened->consumer;
  ask.act.purposes = std::move(*purposes);
  ask.act.purpose_source = odrl::Source::asserted;
  ask.act.by_credential = call.caller.peer->certificate_sha256 == identity::by_credential;
  ask.act.process = opened->transfer;
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
    completion(parts->enforcer, std::move(answer.grant), {})(0, false);
    co_return problem(401, {"api.unknown-data-token", {}}, call.lang);
  }
  co_return co_await tell(parts, std::move(answer), call.lang);
}

// --- the consumer's side ---

using AppParts = std::shared_ptr<const AppAggregateParts>;

constexpr Nanos longest_start = seconds(15);
constexpr std::size_t answer_bytes = 8 << 20;

// Where the provider answers calls under the agreement; a transfer is begun where none runs.
// Errors: those of TransferService::request; unavailable (api.aggregate-not-started).
awaitable<Result<Json>> address_of(AppParts parts, AgreementId agreement) {
  auto running = parts->transfers.running_call(agreement);
  if (!running) co_return fail(std::move(running));
  if (*running) co_return parts->transfers.data_address(**running);
  transfer::TransferOrder order{agreement, std::string(transfer::call_format)};
  const auto begun = co_await parts->transfers.request(std::move(order));
  if (!begun) co_return tl::unexpected(begun.error());
  const Nanos step = milliseconds(20);
  for (Nanos waited = 0; waited < longest_start; waited += step) {
    auto address = parts->transfers.data_address(*begun);
    if (address) co_return address;
    co_await parts->timers.sleep_for(step);
  }
  const Message late{"api.aggregate-not-started", {{"pid", begun->value}}};
  co_return fail(ErrorKind::unavailable, late);
}

PeerRequest to_provider(
    const PartyId& provider,
    const Json& address,
    const aggregates::Query& query,
    const Call& call,
    const std::vector<std::string>& purposes
) {
  PeerRequest out;
  out.to = provider;
  out.url = address.value("endpoint", std::string());
  char separator = '?';
  for (const auto& one : purposes) {
    out.url += separator;
    out.url += "purpose=" + percent_encode_segment(one);
    separator = '&';
  }
  const auto token = address.value("authorization", std::string());
  const bool bare = address.value("authType", std::string()) == "bare";
  out.http.method = "POST";
  out.http.headers.set("Authorization", bare ? token : "Bearer " + token);
  out.http.headers.set("Content-Type", "application/json");
  out.http.headers.set("Accept-Language", call.lang == Lang::zh ? "zh" : "en");
  out.http.body = to_jcs(aggregates::to_json(query));
  out.answer_bytes = answer_bytes;
  return out;
}

// The provider's answer as the application sees it. What the provider has against us is no fault of
// the application's.
HttpResponse pass_on(PeerAnswer answer, Lang lang) {
  const auto type = answer.headers.get("Content-Type").value_or("");
  const bool readable = answer.status == 200 ? type == "application/json"
                                             : type.starts_with("application/problem+json");
  if (!readable || answer.status == 401 || !Json::accept(answer.body)) {
    return problem(
        503, {"api.aggregate-no-answer", {{"status", std::to_string(answer.status)}}}, lang
    );
  }
  HttpResponse out;
  out.status = answer.status;
  for (const char* name :
       {"Content-Type", "Tally-Use", "Tally-Use-Receipt", "Tally-Use-Repeated"}) {
    if (const auto value = answer.headers.get(name)) out.headers.set(name, std::string(*value));
  }
  out.body = std::move(answer.body);
  return out;
}

awaitable<HttpResponse> ask_provider(AppParts parts, Call& call) {
  if (auto closed = parts->closed()) co_return problem(*closed, call.lang);
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
  // A request may narrow what the operator registered, never widen it.
  auto narrowed = usage::narrow(*app, purposes_of(call));
  usage::Act act;
  act.agreement = agreement;
  act.action = std::string(odrl::iri::aggregate);
  act.party = parts->self;
  act.app = app->id;
  act.purposes = narrowed.purposes;
  act.purposes_not_registered = std::move(narrowed.not_registered);
  act.purpose_source = odrl::Source::registration;
  auto authorised = co_await parts->enforcer.authorise(std::move(act));
  if (!authorised) co_return problem(authorised.error(), call.lang);
  if (const auto* refusal = std::get_if<usage::Refusal>(&*authorised)) {
    co_return refusal_response(*refusal, call.lang);
  }
  auto grant = std::get<usage::Grant>(std::move(*authorised));
  // Until the provider has answered, nothing was used.
  const auto address = co_await address_of(parts, agreement);
  if (!address) {
    co_await parts->enforcer.abort(std::move(grant));
    co_return problem(address.error(), call.lang);
  }
  auto request = to_provider(known->terms.provider, *address, *query, call, narrowed.purposes);
  auto answered = co_await parts->peer.send(std::move(request));
  if (!answered) {
    co_await parts->enforcer.abort(std::move(grant));
    co_return problem(answered.error(), call.lang);
  }
  auto response = pass_on(std::move(*answered), call.lang);
  if (response.status != 200) {
    co_await parts->enforcer.abort(std::move(grant));
    co_return response;
  }
  auto content = digest_text(sha256(std::string_view(response.body)));
  response.on_sent = completion(parts->enforcer, std::move(grant), std::move(content));
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
