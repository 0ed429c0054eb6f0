#include "tally/api/confirmation_routes.hpp"

#include <string>
#include <utility>

#include "tally/api/peer_routes.hpp"

namespace tally::api {

namespace {

using Receive =
    awaitable<negotiation::HttpAnswer> (transfer::Confirmations::*)(negotiation::Received);

RouteHandler received(transfer::Confirmations& confirmations, Receive receive) {
  return [&confirmations, receive](Call& call) -> awaitable<HttpResponse> {
    negotiation::Received message;
    message.caller = *call.caller.peer;
    message.request = call.request;
    message.own_pid = call.parameters.front();
    auto answer = co_await (confirmations.*receive)(std::move(message));
    HttpResponse response;
    response.status = answer.status;
    response.body = std::move(answer.body);
    response.headers.set("Content-Type", "application/json");
    co_return response;
  };
}

}  // namespace

std::vector<Route> peer_confirmation_routes(transfer::Confirmations& confirmations) {
  const auto path = [](std::string_view tail) {
    return std::string(tally_base_path) + "/agreements/:agreement/" + std::string(tail);
  };
  return {
      {"POST",
       path("confirmations"),
       Role::peer,
       Where::home,
       received(confirmations, &transfer::Confirmations::receive_note)},
      {"POST",
       path("consent-requests"),
       Role::peer,
       Where::home,
       received(confirmations, &transfer::Confirmations::receive_request)},
  };
}

}  // namespace tally::api
