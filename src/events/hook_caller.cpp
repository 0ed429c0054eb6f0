#include "tally/events/hook_caller.hpp"

#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally::events {

using negotiation::HookAnswer;
using negotiation::Question;

namespace {

constexpr Nanos pause = milliseconds(500);
constexpr std::size_t longest_reason = 400;

// An answer's body, once it is known to come from the hook; or why there is none.
struct Asked {
  std::optional<std::string> body;
  Message fault{"events.hook-late", {}};
};

HookAnswer silent(const Hook& hook, Message fault) {
  HookAnswer answer;
  answer.fault = std::move(fault);
  answer.key = hook.key.fingerprint();
  return answer;
}

// The same call again as long as nothing says that the program has it: one that is being started
// anew must not end negotiations.
awaitable<void> call(HookParts parts, Hook hook, Question question, std::shared_ptr<Asked> asked) {
  // The same for the same question, also after a restart.
  const std::string id = question.pid.value + "-" + std::to_string(question.situation.occurrence);
  const std::string body = question_json(question).dump();
  for (;;) {
    PeerRequest request;
    request.to = hook_party(hook.name);
    request.url = hook.url;
    request.http.method = "POST";
    request.http.body = body;
    request.answer_within = hook.deadline + pause;  // whoever asks ends it first, and says so
    sign_call(request.http, hook.key, id, parts.clock.read().at);
    auto answer = co_await parts.programs.send(std::move(request));
    if (answer && answer->status / 100 == 2) {
      const auto good = hook.signed_answers
                            ? check_answer_signature(
                                  answer->headers, answer->body, hook.key, id, parts.clock.read().at
                              )
                            : Result<void>();
      if (good) {
        asked->body = std::move(answer->body);
      } else {
        asked->fault = good.error().message;
      }
      co_return;
    }
    asked->fault = answer
                       ? Message{"events.hook-status", {{"status", std::to_string(answer->status)}}}
                       : answer.error().message;
    const bool passing =
        answer ? answer->status / 100 == 5 : answer.error().kind == ErrorKind::unavailable;
    if (!passing) co_return;
    co_await parts.timers.sleep_for(pause);
  }
}

}  // namespace

PartyId hook_party(const std::string& name) {
  return {"hook", name};
}

Json question_json(const Question& question) {
  return {
      {"type", "decision.requested"},
      {"negotiation", question.pid.value},
      {"occurrence", question.situation.occurrence},
      {"peer", {{"domain", question.situation.peer.domain}, {"uri", question.situation.peer.uri}}},
      {"asset", question.situation.asset.value},
      {"offer", question.offer},
      {"request", question.request},
      {"wider", question.wider}};
}

Result<HookAnswer> parse_hook_answer(std::string_view body) {
  const auto malformed = [](std::string reason) {
    return fail(ErrorKind::invalid, {"events.answer-malformed", {{"reason", std::move(reason)}}});
  };
  const auto json = parse_json(body);
  if (!json) return malformed(json.error().message.code);
  const auto text = [&json](const char* member) { return string_member_or(*json, member, {}, ""); };
  if (!json->is_object()) return malformed("object");
  const auto decision = text("decision");
  if (!decision) return malformed("/decision");
  HookAnswer answer;
  if (*decision == "agree") {
    answer.decision = HookAnswer::Decision::agree;
  } else if (*decision == "wait") {
    answer.decision = HookAnswer::Decision::wait;
  } else if (*decision == "reject") {
    answer.decision = HookAnswer::Decision::reject;
    auto reason = text("reason");
    if (!reason || reason->size() > longest_reason) return malformed("/reason");
    answer.reason = std::move(*reason);
  } else if (*decision == "counter") {
    answer.decision = HookAnswer::Decision::counter;
    const auto policy = json->find("policy");
    if (policy == json->end() || !policy->is_object()) return malformed("/policy");
    answer.policy = *policy;
  } else {
    return malformed("/decision");
  }
  return answer;
}

HookCaller::HookCaller(HookParts parts, std::vector<Hook> hooks) : parts_(parts) {
  for (auto& hook : hooks) hooks_.emplace(hook.name, std::move(hook));
}

awaitable<HookAnswer> HookCaller::ask(Question question) {
  using boost::asio::experimental::awaitable_operators::operator||;
  const auto found = hooks_.find(question.hook);
  if (found == hooks_.end()) {
    HookAnswer none;
    none.fault = {"events.hook-unknown", {}};
    co_return none;
  }
  const Hook hook = found->second;
  auto asked = std::make_shared<Asked>();
  auto calling = call(parts_, hook, std::move(question), asked);
  auto late = parts_.timers.sleep_for(hook.deadline);
  co_await (std::move(calling) || std::move(late));
  if (!asked->body) co_return silent(hook, asked->fault);
  auto answer = parse_hook_answer(*asked->body);
  if (!answer) co_return silent(hook, answer.error().message);
  answer->key = hook.key.fingerprint();
  co_return std::move(*answer);
}

}  // namespace tally::events
