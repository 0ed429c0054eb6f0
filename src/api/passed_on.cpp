#include "passed_on.hpp"

#include <algorithm>
#include <utility>

#include "tally/odrl/terms.hpp"

#include "acts.hpp"
#include "call_parameters.hpp"
#include "sending.hpp"

namespace tally::api {

namespace {

constexpr std::size_t answer_bytes = 8 << 20;

// Where nothing may be fetched into custody, reading is calling.
bool may_archive(const odrl::CompiledPolicy& policy) {
  return std::ranges::any_of(policy.rules(), [](const odrl::RuleSummary& rule) {
    return rule.kind == odrl::RuleKind::permission &&
           std::ranges::any_of(rule.actions, [](const std::string& action) {
             return odrl::is_or_below(odrl::iri::archive, action);
           });
  });
}

// What the application asks of the provider: everything but what it says of itself.
std::vector<dataplane::ColumnValue> asked_of_provider(const Target& target) {
  std::vector<dataplane::ColumnValue> out;
  for (const auto& [name, value] : target.query) {
    if (name != "purpose" && name != "role") out.push_back({name, value});
  }
  return out;
}

std::string with_query(std::string url, const std::vector<dataplane::ColumnValue>& asked) {
  char separator = '?';
  for (const auto& one : asked) {
    url += separator;
    url += percent_encode_segment(one.column) + "=" + percent_encode_segment(one.text);
    separator = '&';
  }
  return url;
}

}  // namespace

awaitable<std::optional<HttpResponse>> pass_on_read(
    std::shared_ptr<const AppApiParts> parts, Call& call, usage::App app, AgreementId agreement
) {
  const auto known = parts->enforcer.state(agreement);
  if (!known) co_return std::nullopt;
  const auto running = parts->calls->transfers.running_call(agreement);
  if (!running) co_return problem(running.error(), call.lang);
  if (!*running && may_archive(*known->terms.policy)) co_return std::nullopt;
  if (auto closed = parts->calls->closed()) co_return problem(*closed, call.lang);

  std::string key(call.request.headers.get("Idempotency-Key").value_or(""));
  const auto asked = asked_of_provider(call.target);
  auto act =
      act_of_app(app, parts->self, agreement, std::string(odrl::iri::read), claims_of(call.target));
  act.passed_on = true;
  act.idempotency_key = bound_key(key, parts->call_secret, asked);
  auto authorised = co_await parts->enforcer.authorise(act);
  if (!authorised) co_return problem(authorised.error(), call.lang);
  if (const auto* refusal = std::get_if<usage::Refusal>(&*authorised)) {
    co_return refusal_response(*refusal, call.lang);
  }
  auto sending = std::make_shared<Sending>();
  sending->grants.push_back(std::get<usage::Grant>(std::move(*authorised)));
  // Until the provider has answered, nothing was used.
  auto request =
      co_await request_to_provider(*parts->calls, agreement, known->terms.provider, call);
  if (!request) {
    co_await usage::abort_all(parts->enforcer, sending->grants);
    co_return problem(request.error(), call.lang);
  }
  request->url = with_query(std::move(request->url), asked);
  request->http.method = "GET";
  if (!key.empty()) request->http.headers.set("Idempotency-Key", std::move(key));
  request->answer_bytes = answer_bytes;
  auto answered = co_await parts->calls->peer.send(*std::move(request));
  if (!answered || answered->status != 200) {
    co_await usage::abort_all(parts->enforcer, sending->grants);
    if (!answered) co_return problem(answered.error(), call.lang);
    co_return problem_of_provider(
        answered->status, answered->headers, std::move(answered->body), call.lang
    );
  }
  if (!may_go_on(parts->enforcer, *sending)) {
    co_return co_await refuse_stopped(
        parts->enforcer, std::move(sending->grants), std::move(act), call.lang
    );
  }
  HttpResponse response;
  response.headers.set(
      "Content-Type",
      std::string(answered->headers.get("Content-Type").value_or("application/octet-stream"))
  );
  copy_use_headers(answered->headers, response);
  sending->content = digest_text(sha256(std::string_view(answered->body)));
  sending->read_whole = true;
  response.body = std::move(answered->body);
  response.may_go_on = [parts, sending] { return may_go_on(parts->enforcer, *sending); };
  response.on_sent = completion(parts->enforcer, std::move(sending), nullptr);
  co_return response;
}

}  // namespace tally::api
