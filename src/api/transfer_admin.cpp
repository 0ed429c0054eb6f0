#include "transfer_admin.hpp"

#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "members.hpp"

namespace tally::api {

namespace {

// The reason of an order as the peer is told it: the operator's words under `because`, or, when
// there are none, that there are none.
Result<Message> reason_of(
    const Call& call, const Limits& limits, std::string_view because, std::string_view none
) {
  auto words = said_reason(call, limits);
  if (!words) return fail(std::move(words));
  if (words->empty()) return Message{std::string(none), {}};
  return Message{std::string(because), {{"reason", std::move(*words)}}};
}

HttpResponse answer(const Result<void>& done, std::string_view state, Lang lang) {
  if (!done) return problem(done.error(), lang);
  return json_response(200, {{"state", state}});
}

}  // namespace

awaitable<HttpResponse> post_suspension(ManagementParts parts, Call& call) {
  auto reason = reason_of(
      call, parts->limits, "transfer.suspended-because", "transfer.suspended-by-operator"
  );
  if (!reason) co_return problem(reason.error(), call.lang);
  Pid pid(call.parameters.front());
  const auto done = co_await parts->transfers.suspend(std::move(pid), std::move(*reason));
  co_return answer(done, "SUSPENDED", call.lang);
}

awaitable<HttpResponse> post_resumption(ManagementParts parts, Call& call) {
  Pid pid(call.parameters.front());
  const auto done = co_await parts->transfers.restart(std::move(pid));
  co_return answer(done, "STARTED", call.lang);
}

awaitable<HttpResponse> post_completion(ManagementParts parts, Call& call) {
  Pid pid(call.parameters.front());
  const auto done = co_await parts->transfers.complete(std::move(pid));
  co_return answer(done, "COMPLETED", call.lang);
}

awaitable<HttpResponse> post_transfer_termination(ManagementParts parts, Call& call) {
  auto reason =
      reason_of(call, parts->limits, "transfer.ended-because", "transfer.ended-by-operator");
  if (!reason) co_return problem(reason.error(), call.lang);
  Pid pid(call.parameters.front());
  const auto done = co_await parts->transfers.terminate(std::move(pid), std::move(*reason));
  co_return answer(done, "TERMINATED", call.lang);
}

}  // namespace tally::api
