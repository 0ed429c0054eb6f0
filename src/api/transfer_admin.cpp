#include "transfer_admin.hpp"

#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace tally::api {

namespace {

// It goes into a message of the protocol and is shown to people on the other side.
constexpr std::size_t longest_reason = 400;

// The reason of an order as the peer is told it: the operator's words under `because`, or, when
// there are none, that there are none.
Result<Message> reason_of(
    const Call& call, const Limits& limits, std::string_view because, std::string_view none
) {
  if (call.request.body.empty()) return Message{std::string(none), {}};
  const auto body = call.json(limits);
  if (!body) return tl::unexpected(body.error());
  auto words = string_member_or(*body, "reason", "", "");
  if (!words) return fail(std::move(words));
  if (words->empty()) return Message{std::string(none), {}};
  if (words->size() > longest_reason) {
    return fail(
        ErrorKind::invalid,
        {"api.reason-too-long", {{"most", std::to_string(longest_reason)}}},
        "/reason"
    );
  }
  return Message{std::string(because), {{"reason", std::move(*words)}}};
}

HttpResponse answer(const Result<void>& done, std::string_view state, Lang lang) {
  if (!done) return problem(done.error(), lang);
  return json_response(200, {{"state", state}});
}

}  // namespace

awaitable<HttpResponse> post_suspension(
    std::shared_ptr<const ManagementApiParts> parts, Call& call
) {
  auto reason = reason_of(
      call, parts->limits, "transfer.suspended-because", "transfer.suspended-by-operator"
  );
  if (!reason) co_return problem(reason.error(), call.lang);
  Pid pid(call.parameters.front());
  const auto done = co_await parts->transfers.suspend(std::move(pid), std::move(*reason));
  co_return answer(done, "SUSPENDED", call.lang);
}

awaitable<HttpResponse> post_resumption(
    std::shared_ptr<const ManagementApiParts> parts, Call& call
) {
  Pid pid(call.parameters.front());
  const auto done = co_await parts->transfers.restart(std::move(pid));
  co_return answer(done, "STARTED", call.lang);
}

awaitable<HttpResponse> post_completion(
    std::shared_ptr<const ManagementApiParts> parts, Call& call
) {
  Pid pid(call.parameters.front());
  const auto done = co_await parts->transfers.complete(std::move(pid));
  co_return answer(done, "COMPLETED", call.lang);
}

awaitable<HttpResponse> post_transfer_termination(
    std::shared_ptr<const ManagementApiParts> parts, Call& call
) {
  auto reason =
      reason_of(call, parts->limits, "transfer.ended-because", "transfer.ended-by-operator");
  if (!reason) co_return problem(reason.error(), call.lang);
  Pid pid(call.parameters.front());
  const auto done = co_await parts->transfers.terminate(std::move(pid), std::move(*reason));
  co_return answer(done, "TERMINATED", call.lang);
}

}  // namespace tally::api
