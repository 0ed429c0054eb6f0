#include "tally/api/witness_routes.hpp"

#include <memory>
#include <string>
#include <utility>

#include "tally/api/peer_routes.hpp"

namespace tally::api {

namespace {

constexpr std::string_view note_type = "text/plain; charset=utf-8";

HttpResponse text_response(int status, std::string_view type, std::string body) {
  HttpResponse response;
  response.status = status;
  response.headers.set("Content-Type", std::string(type));
  response.body = std::move(body);
  return response;
}

}  // namespace

std::vector<Route> witness_routes(WitnessApiParts given) {
  auto parts = std::make_shared<const WitnessApiParts>(std::move(given));
  const std::string base = std::string(tally_base_path) + "/witness";

  RouteHandler add = [parts](Call& call) -> awaitable<HttpResponse> {
    if (const auto closed = parts->closed()) co_return problem(503, closed->message, call.lang);
    if (call.request.body.size() > audit::most_request_bytes) {
      co_return problem(400, {"audit.witness-request", {}}, call.lang);
    }
    auto reply = co_await parts->witness.add_checkpoint(
        std::move(call.request.body), call.caller.peer->party
    );
    if (!reply) co_return problem(reply.error(), call.lang);
    const auto& answer = reply->answer;
    const int status = static_cast<int>(answer.status);
    auto body = answer.body();
    // Statuses with a body of their own in the standard have that alone; the others say why.
    if (body.empty()) co_return problem(status, reply->reason, call.lang);
    co_return text_response(status, answer.content_type(), std::move(body));
  };
  RouteHandler read = [parts](Call& call) -> awaitable<HttpResponse> {
    auto note = parts->witness.checkpoint(call.parameters.front(), call.caller.peer->party);
    if (!note) co_return problem(note.error(), call.lang);
    if (!*note) co_return problem(404, {"api.never-cosigned", {}}, call.lang);
    co_return text_response(200, note_type, std::move(**note));
  };
  RouteHandler learn = [parts](Call& call) -> awaitable<HttpResponse> {
    if (const auto closed = parts->closed()) co_return problem(503, closed->message, call.lang);
    auto learned = co_await parts->witness.learn_rotations(
        std::move(call.request.body), call.caller.peer->party
    );
    if (!learned) co_return problem(learned.error(), call.lang);
    co_return text_response(200, "application/json", "{}");
  };
  RouteHandler rotations = [parts](Call& call) -> awaitable<HttpResponse> {
    auto notes = parts->witness.rotations(call.parameters.front(), call.caller.peer->party);
    if (!notes) co_return problem(notes.error(), call.lang);
    if (!*notes) co_return problem(404, {"api.never-cosigned", {}}, call.lang);
    co_return text_response(200, "application/json", std::move(**notes));
  };
  return {
      {"POST", base + "/add-checkpoint", Role::peer, Where::home, std::move(add)},
      {"GET", base + "/:log/checkpoint", Role::peer, Where::home, std::move(read)},
      {"POST", base + "/rotations", Role::peer, Where::home, std::move(learn)},
      {"GET", base + "/:log/rotations", Role::peer, Where::home, std::move(rotations)},
  };
}

}  // namespace tally::api
