#include "connector_admin.hpp"

#include <cstdint>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/number.hpp"

#include "code.hpp"

namespace tally::api {

namespace {

constexpr std::int64_t most_overlap_seconds = 31'536'000;
constexpr std::int64_t most_advance_seconds = 4'000'000'000;

// Errors: invalid (core.member-value).
Result<Nanos> seconds_member(const Json& body, const std::string& name, std::int64_t most) {
  const auto span = body.find(name);
  if (span == body.end() || !span->is_number_integer() || span->get<std::int64_t>() < 0 ||
      span->get<std::int64_t>() > most) {
    return fail(
        ErrorKind::invalid,
        {"core.member-value", {{"member", name}, {"expected", "0…" + std::to_string(most)}}},
        "/" + name
    );
  }
  return seconds(span->get<std::int64_t>());
}

}  // namespace

awaitable<HttpResponse> get_ready(ManagementParts parts, Call& call) {
  Json checks = Json::array();
  bool ready = true;
  for (const auto& check : parts->connector.checks()) {
    ready = ready && check.good;
    checks.push_back(
        {{"check", check.name},
         {"good", check.good},
         {"code", check.message.code},
         {"params", check.message.params},
         {"text", render(check.message, call.lang)}}
    );
  }
  co_return json_response(
      ready ? 200 : 503, {{"status", ready ? "ready" : "not ready"}, {"checks", std::move(checks)}}
  );
}

awaitable<HttpResponse> get_metrics(ManagementParts parts, Call& call) {
  HttpResponse response;
  response.status = 200;
  response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = parts->connector.metrics(call.lang);
  co_return response;
}

awaitable<HttpResponse> post_reload(ManagementParts parts, Call& call) {
  auto reloaded = co_await parts->connector.reload();
  if (!reloaded) co_return problem(reloaded.error(), call.lang);
  Json body = shown_message(reloaded->said, call.lang);
  body["changed"] = reloaded->changed;
  body["restart"] = reloaded->restart;
  body["documents"] = Json::array();
  for (const auto& message : reloaded->documents) {
    body["documents"].push_back(shown_message(message, call.lang));
  }
  co_return json_response(200, body);
}

awaitable<HttpResponse> post_log_key_rotation(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  const auto overlap = seconds_member(*body, "overlapSeconds", most_overlap_seconds);
  if (!overlap) co_return problem(overlap.error(), call.lang);
  auto rotated = co_await parts->connector.rotate_log_key(*overlap);
  if (!rotated) co_return problem(rotated.error(), call.lang);
  co_return json_response(200, *rotated);
}

awaitable<HttpResponse> post_log_pruning(ManagementParts parts, Call& call) {
  auto pruned = co_await parts->connector.prune_log(call.lang);
  if (!pruned) co_return problem(pruned.error(), call.lang);
  co_return json_response(200, *pruned);
}

awaitable<HttpResponse> post_backup(ManagementParts parts, Call& call) {
  auto made = co_await parts->connector.back_up();
  if (!made) co_return problem(made.error(), call.lang);
  co_return json_response(201, *made);
}

awaitable<HttpResponse> post_clock(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  const auto span = seconds_member(*body, "advanceSeconds", most_advance_seconds);
  if (!span) co_return problem(span.error(), call.lang);
  auto now = co_await parts->connector.advance_clock(*span);
  if (!now) co_return problem(now.error(), call.lang);
  co_return json_response(200, {{"time", format_micros(*now)}});
}

// --- facts about persons ---

awaitable<HttpResponse> post_erasure(ManagementParts parts, Call& call) {
  const auto body = call.json(parts->limits);
  if (!body) co_return problem(body.error(), call.lang);
  Erasure erasure;
  const auto basis = string_member(*body, "basis", "");
  if (!basis) co_return problem(basis.error(), call.lang);
  if (!is_code(*basis)) {
    co_return problem(400, {"api.basis-malformed", {}}, call.lang, "/basis");
  }
  erasure.basis = *basis;
  const auto record = body->find("record");
  const auto subject = string_member_or(*body, "subject", "", "");
  if (!subject) co_return problem(subject.error(), call.lang);
  if (record != body->end()) {
    if (!record->is_number_unsigned() || !subject->empty()) {
      co_return problem(400, {"api.erasure-of-what", {}}, call.lang, "/record");
    }
    erasure.record = record->get<std::uint64_t>();
  } else if (subject->empty()) {
    co_return problem(400, {"api.erasure-of-what", {}}, call.lang, "/subject");
  }
  erasure.subject = *subject;
  auto erased = co_await parts->connector.erase(std::move(erasure));
  if (!erased) co_return problem(erased.error(), call.lang);
  co_return json_response(200, {{"records", *erased}});
}

awaitable<HttpResponse> get_opening(ManagementParts parts, Call& call) {
  const auto seq = whole_number(call.parameters.front());
  if (!seq) co_return problem(404, {"api.no-private-fact", {}}, call.lang);
  auto opening = co_await parts->connector.opening(*seq);
  if (!opening) co_return problem(opening.error(), call.lang);
  auto response = json_response(200, *opening);
  response.headers.set("Cache-Control", "no-store");
  co_return response;
}

}  // namespace tally::api
