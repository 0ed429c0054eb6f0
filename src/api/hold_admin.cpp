#include "hold_admin.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "code.hpp"
#include "lists.hpp"
#include "members.hpp"

namespace tally::api {

namespace {

constexpr std::string_view suspension_of_ours = "self:";

// A code that says why; it stands in the log. Errors: invalid.
Result<std::string> reference_member(const Json& body, bool required) {
  auto code = string_member_or(body, "reason", "", "");
  if (!code) return code;
  if (code->empty() && !required) return code;
  if (!is_code(*code)) {
    return fail(ErrorKind::invalid, {"api.hold-reason-malformed", {}}, "/reason");
  }
  return code;
}

Result<usage::Hold> hold_in(const Json& body) {
  usage::Hold hold;
  auto id = string_member_or(body, "id", "", "");
  if (!id) return fail(std::move(id));
  if (!id->empty() && !audit::is_hold_name(*id)) {
    return fail(ErrorKind::invalid, {"audit.hold-malformed", {{"member", "id"}}}, "/id");
  }
  hold.id = *std::move(id);
  auto on = audit::parse_hold_on(body);
  if (!on) return fail(std::move(on));
  hold.on = *std::move(on);
  if (body.contains("until")) {
    const auto text = string_member(body, "until", "");
    const auto until = text ? parse_date_time(*text) : std::nullopt;
    if (!until || !until->had_zone) {
      return fail(ErrorKind::invalid, {"audit.hold-malformed", {{"member", "until"}}}, "/until");
    }
    hold.until = Instant{until->instant.seconds, until->instant.nanos / 1000 * 1000};
  }
  auto reference = reference_member(body, false);
  if (!reference) return fail(std::move(reference));
  hold.reference = *std::move(reference);
  return hold;
}

}  // namespace

awaitable<HttpResponse> get_holds(ManagementParts parts, Call& call) {
  const std::string wanted = call.query("state");
  const std::string state = wanted.empty() ? "in-force" : wanted;
  const ClockReading now = parts->clock.read();
  const auto show = [&](const Row& row) -> Result<Json> {
    auto item = parse_json(row.body);
    if (!item) return fail(ErrorKind::internal, {"api.internal", {}});
    const auto hold = parts->holds.find(row.id);
    const bool over = hold && !hold->in_force(now);
    (*item)["state"] = over ? "over" : row.state;
    return item;
  };
  const Store::Query query{std::string(usage::hold_kind), state, {}, {}, 0};
  co_return list_of_rows(call, parts->store, query, show);
}

awaitable<HttpResponse> post_hold(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  auto hold = hold_in(*body);
  if (!hold) co_return problem(hold.error(), call.lang);
  auto placed = co_await parts->holds.place(*std::move(hold));
  if (!placed) co_return problem(placed.error(), call.lang);
  co_return json_response(201, usage::to_json(*placed));
}

awaitable<HttpResponse> post_hold_lift(ManagementParts parts, Call& call) {
  const auto body =
      call.request.body.empty() ? Result<Json>(Json::object()) : call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  auto reference = reference_member(*body, false);
  if (!reference) co_return problem(reference.error(), call.lang);
  std::string id = call.parameters.front();
  const auto row = parts->store.row(usage::hold_kind, id);
  if (!row) co_return problem(row.error(), call.lang);
  if (!*row) co_return problem(404, {"usage.unknown-hold", {{"hold", id}}}, call.lang);
  Result<void> done;
  if (id.starts_with(suspension_of_ours)) {
    // The other side was told of it, and is told of its end.
    AgreementId agreement(id.substr(suspension_of_ours.size()));
    done = co_await parts->agreement_orders.resume(std::move(agreement));
  } else {
    auto lifted =
        co_await parts->holds.lift(std::move(id), usage::HoldBy::operator_, *std::move(reference));
    if (!lifted) done = fail(std::move(lifted));
  }
  if (!done) co_return problem(done.error(), call.lang);
  co_return json_response(200, {{"state", "lifted"}});
}

awaitable<HttpResponse> post_hold_order(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  auto note = string_member(*body, "order", "");
  if (!note) co_return problem(note.error(), call.lang);
  auto taken = co_await parts->holds.take(*std::move(note), std::nullopt);
  if (!taken) co_return problem(taken.error(), call.lang);
  co_return json_response(
      200, {{"id", taken->id}, {"state", taken->lifted ? "lifted" : "in-force"}}
  );
}

awaitable<HttpResponse> post_agreement_suspension(ManagementParts parts, Call& call) {
  auto said = said_reason(call, parts->limits);
  if (!said) co_return problem(said.error(), call.lang);
  AgreementId id(call.parameters.front());
  auto done = co_await parts->agreement_orders.suspend(std::move(id), *std::move(said));
  if (!done) co_return problem(done.error(), call.lang);
  co_return json_response(200, {{"state", "suspended"}});
}

awaitable<HttpResponse> post_agreement_resumption(ManagementParts parts, Call& call) {
  const AgreementId id(call.parameters.front());
  auto done = co_await parts->agreement_orders.resume(id);
  if (!done) co_return problem(done.error(), call.lang);
  // Another's hold may still stop it.
  const bool held = parts->enforcer.held(id).has_value();
  co_return json_response(200, {{"state", held ? "suspended" : "active"}});
}

awaitable<HttpResponse> post_agreement_termination(ManagementParts parts, Call& call) {
  auto said = said_reason(call, parts->limits);
  if (!said) co_return problem(said.error(), call.lang);
  AgreementId id(call.parameters.front());
  auto ended = co_await parts->agreement_orders.terminate(std::move(id), *std::move(said));
  if (!ended) co_return problem(ended.error(), call.lang);
  co_return json_response(200, {{"state", "terminated"}});
}

}  // namespace tally::api
