#include "approval_routes.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/negotiation/exchange.hpp"

#include "lists.hpp"
#include "members.hpp"

namespace tally::api {

namespace {

void put_sentence(Json& item, const char* member, Lang lang) {
  const auto found = item.find(member);
  if (found == item.end()) return;
  const auto message = negotiation::message_from_json(*found);
  if (message) (*found)["text"] = render(*message, lang);
}

transfer::DecidedBy confirmer_of(const Call& call) {
  return {std::string(to_string(call.role)), call.credential};
}

negotiation::Decider decider_of(const Call& call) {
  return {std::string(to_string(call.role)), call.credential};
}

}  // namespace

awaitable<HttpResponse> get_approvals(ManagementParts parts, Call& call) {
  auto waiting = parts->negotiations.approvals();
  if (!waiting) co_return problem(waiting.error(), call.lang);
  auto consents = parts->confirmations.waiting();
  if (!consents) co_return problem(consents.error(), call.lang);
  for (auto& item : *consents) waiting->push_back(std::move(item));
  for (auto& item : *waiting) {
    put_sentence(item, "why", call.lang);
    put_sentence(item, "objection", call.lang);
  }
  co_return cut_list(call, {{"items", std::move(*waiting)}}, "id");
}

awaitable<HttpResponse> post_approve(ManagementParts parts, Call& call) {
  const auto is_consent = parts->confirmations.knows(call.parameters.front());
  if (!is_consent) co_return problem(is_consent.error(), call.lang);
  if (*is_consent) {
    std::string request = call.parameters.front();
    auto given = co_await parts->confirmations.approve(std::move(request), confirmer_of(call));
    if (!given) co_return problem(given.error(), call.lang);
    co_return json_response(200, {{"decision", "approved"}});
  }
  Pid pid(call.parameters.front());
  auto done = co_await parts->negotiations.approve(std::move(pid), decider_of(call));
  if (!done) co_return problem(done.error(), call.lang);
  co_return json_response(200, {{"decision", "approved"}});
}

awaitable<HttpResponse> post_reject(ManagementParts parts, Call& call) {
  auto reason = said_reason(call, parts->limits);
  if (!reason) co_return problem(reason.error(), call.lang);
  const auto is_consent = parts->confirmations.knows(call.parameters.front());
  if (!is_consent) co_return problem(is_consent.error(), call.lang);
  if (*is_consent) {
    std::string request = call.parameters.front();
    auto rejected = co_await parts->confirmations.reject(
        std::move(request), confirmer_of(call), *std::move(reason)
    );
    if (!rejected) co_return problem(rejected.error(), call.lang);
    co_return json_response(200, {{"decision", "rejected"}});
  }
  Pid pid(call.parameters.front());
  auto done =
      co_await parts->negotiations.reject(std::move(pid), decider_of(call), std::move(*reason));
  if (!done) co_return problem(done.error(), call.lang);
  co_return json_response(200, {{"decision", "rejected"}});
}

awaitable<HttpResponse> post_counter(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  const auto policy = body->find("policy");
  if (policy == body->end()) {
    const Message missing{"core.member-missing", {{"member", "policy"}}};
    co_return problem(400, missing, call.lang, "/policy");
  }
  Pid pid(call.parameters.front());
  Json terms = *policy;
  auto done =
      co_await parts->negotiations.counter(std::move(pid), decider_of(call), std::move(terms));
  if (!done) co_return problem(done.error(), call.lang);
  co_return json_response(200, {{"decision", "countered"}});
}

}  // namespace tally::api
