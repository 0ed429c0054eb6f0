#include "informed_parties.hpp"

#include <utility>

#include "tally/events/webhooks.hpp"

namespace tally::daemon {

namespace {

constexpr Nanos answer_within = seconds(15);

}  // namespace

awaitable<Result<bool>> ConfiguredParties::tell(
    std::string party, std::string id, std::string body
) {
  const auto found = programs_.find(party);
  // It was there when the agreement was made: the notice waits until it is again.
  if (found == programs_.end()) co_return false;
  const auto& program = found->second;
  PeerRequest request;
  request.to = events::webhook_party(program.name);
  request.url = program.url;
  request.http.method = "POST";
  request.http.body = std::move(body);
  request.answer_within = answer_within;
  events::sign_call(request.http, program.key, id, clock_.read().at);
  const auto answer = co_await peer_.send(std::move(request));
  if (!answer) co_return tl::unexpected(answer.error());
  co_return answer->status / 100 == 2;
}

}  // namespace tally::daemon
