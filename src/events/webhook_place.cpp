#include "webhook_place.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/events/event.hpp"

namespace tally::events {

namespace {

constexpr Nanos first_pause = seconds(1);
constexpr Nanos longest_pause = seconds(600);

WebhookGap parse_gap(const Json& json) {
  WebhookGap gap;
  gap.code = json.at("code").get<std::string>();
  gap.from = json.at("from").get<std::uint64_t>();
  gap.first = json.at("first").get<std::uint64_t>();
  gap.id = json.value("id", "");
  return gap;
}

WebhookAnswer parse_last(const Json& json) {
  WebhookAnswer last;
  last.time = json.at("time").get<std::string>();
  last.status = json.value("status", 0);
  if (const auto fault = json.find("fault"); fault != json.end()) {
    last.fault.emplace();
    last.fault->code = fault->at("code").get<std::string>();
    last.fault->params = fault->value("params", last.fault->params);
  }
  return last;
}

}  // namespace

void WebhookPlace::miss(std::string code, std::uint64_t from, std::uint64_t first) {
  const std::uint64_t begin = gap ? gap->from : from;
  gap = WebhookGap{std::move(code), begin, first, {}};
  next = std::max(next, first);
}

void WebhookPlace::settle_in(std::uint64_t number, std::uint64_t durable) {
  if (log_number == number && next <= durable) return;
  gap = WebhookGap{"events.id-unknown", 0, 0, event_id(log_number, next == 0 ? 0 : next - 1)};
  log_number = number;
  next = 0;
}

Row to_row(const WebhookPlace& place, const std::string& webhook) {
  Json body = {{"log", place.log_number}, {"next", place.next}};
  if (const auto& gap = place.gap) {
    body["gap"] = {{"code", gap->code}, {"from", gap->from}, {"first", gap->first}};
    if (!gap->id.empty()) body["gap"]["id"] = gap->id;
  }
  if (const auto& last = place.last) {
    body["last"] = {{"time", last->time}};
    if (last->status != 0) body["last"]["status"] = last->status;
    if (last->fault) {
      body["last"]["fault"] = {{"code", last->fault->code}, {"params", last->fault->params}};
    }
  }
  Row row;
  row.kind = webhook_kind;
  row.id = webhook;
  row.version = place.version;
  row.body = body.dump();
  return row;
}

Result<WebhookPlace> parse_webhook_place(const Row& row) {
  const Json body = Json::parse(row.body, nullptr, false);
  WebhookPlace place;
  try {
    place.log_number = body.at("log").get<std::uint64_t>();
    place.next = body.at("next").get<std::uint64_t>();
    if (body.contains("gap")) place.gap = parse_gap(body.at("gap"));
    if (body.contains("last")) place.last = parse_last(body.at("last"));
  } catch (const Json::exception&) {
    return fail(ErrorKind::invalid, {"events.webhook-row", {{"webhook", row.id}}});
  }
  place.version = row.version;
  return place;
}

Json gap_json(const WebhookGap& gap) {
  Json params = {{"from", std::to_string(gap.from)}, {"first", std::to_string(gap.first)}};
  if (!gap.id.empty()) params["id"] = gap.id;
  return {{"type", "log.gap"}, {"reason", {{"code", gap.code}, {"params", std::move(params)}}}};
}

Nanos webhook_pause(std::uint32_t failed) {
  // Ten doublings are beyond the longest.
  return std::min(first_pause << std::min(failed == 0 ? 0U : failed - 1, 10U), longest_pause);
}

}  // namespace tally::events
