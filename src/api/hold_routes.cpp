#include "tally/api/hold_routes.hpp"

#include <memory>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/api/peer_routes.hpp"
#include "tally/core/json.hpp"

namespace tally::api {

namespace {

using Parts = std::shared_ptr<const HoldApiParts>;
using transfer::AgreementOrder;

RouteHandler ordered(Parts parts, AgreementOrder order) {
  return [parts, order](Call& call) -> awaitable<HttpResponse> {
    negotiation::Received received;
    received.caller = *call.caller.peer;
    received.request = call.request;
    received.own_pid = call.parameters.front();
    auto answer = co_await parts->orders.receive(std::move(received), order);
    HttpResponse response;
    response.status = answer.status;
    response.body = std::move(answer.body);
    response.headers.set("Content-Type", "application/json");
    co_return response;
  };
}

awaitable<HttpResponse> take_order(Parts parts, Call& call) {
  // Who has no regulators does not have this either.
  if (!parts->holds.has_regulators()) {
    co_return problem(404, {"api.unknown-path", {}}, call.lang);
  }
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  auto note = string_member(*body, "order", "");
  if (!note) co_return problem(note.error(), call.lang);
  std::optional<PartyId> from = call.caller.peer->party;
  auto taken = co_await parts->holds.take(*std::move(note), std::move(from));
  if (!taken) co_return problem(taken.error(), call.lang);
  co_return json_response(
      200, {{"id", taken->id}, {"state", taken->lifted ? "lifted" : "in-force"}}
  );
}

}  // namespace

std::vector<Route> peer_hold_routes(HoldApiParts given) {
  const auto parts = std::make_shared<const HoldApiParts>(std::move(given));
  const auto path = [](std::string_view tail) {
    return std::string(tally_base_path) + std::string(tail);
  };
  const RouteHandler order = [parts](Call& call) { return take_order(parts, call); };
  return {
      {"POST",
       path("/agreements/:agreement/suspension"),
       Role::peer,
       Where::home,
       ordered(parts, AgreementOrder::suspension)},
      {"POST",
       path("/agreements/:agreement/resumption"),
       Role::peer,
       Where::home,
       ordered(parts, AgreementOrder::resumption)},
      {"POST",
       path("/agreements/:agreement/termination"),
       Role::peer,
       Where::home,
       ordered(parts, AgreementOrder::termination)},
      {"POST", path("/holds"), Role::peer, Where::home, order},
  };
}

}  // namespace tally::api
