#include "tally/events/webhooks.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include <nlohmann/json.hpp>

#include "webhook_place.hpp"

namespace tally::events {

namespace {

constexpr Nanos look = milliseconds(100);
constexpr Nanos answer_within = seconds(15);
// A cursor that passed records which are no event for its webhook is stored now and then: whoever
// begins with an older one reads them again, and no more.
constexpr std::uint64_t most_unsaved = 256;
constexpr Nanos longest_unsaved = seconds(60);
// After an error of log or store, which only a restart or an operator ends.
constexpr Nanos rest = seconds(60);

// JSON of whatever stands in a record.
std::string text_of(const Json& data) {
  return data.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json last_json(const WebhookAnswer& last, Lang lang) {
  Json json = {{"time", last.time}};
  if (last.status != 0) json["status"] = last.status;
  if (last.fault) {
    json["reason"] = {
        {"code", last.fault->code},
        {"params", last.fault->params},
        {"text", render(*last.fault, lang)}};
  }
  return json;
}

}  // namespace

struct Webhooks::Line {
  Webhook hook;
  WebhookPlace place;
  std::uint64_t saved = 0;   // place.next as the store has it
  std::uint32_t failed = 0;  // attempts in a row
  Instant next_attempt;      // where some failed
};

PartyId webhook_party(const std::string& name) {
  return {"webhook", name};
}

Webhooks::Webhooks(WebhookParts parts, EventLog log, std::vector<Webhook> webhooks)
    : parts_(parts), log_(std::move(log)) {
  for (auto& hook : webhooks) {
    lines_.push_back(std::make_unique<Line>());
    lines_.back()->hook = std::move(hook);
  }
}

Webhooks::~Webhooks() = default;

awaitable<Result<void>> Webhooks::start() {
  const auto rows = all_rows(log_.store, webhook_kind);
  if (!rows) co_return tl::unexpected(rows.error());
  Transaction transaction;
  for (const auto& row : *rows) {
    const auto configured = [&row](const auto& line) { return line->hook.name == row.id; };
    if (std::ranges::none_of(lines_, configured)) transaction.erases.push_back(row);
  }
  for (auto& line : lines_) {
    const auto named = [&line](const Row& row) { return row.id == line->hook.name; };
    const auto row = std::ranges::find_if(*rows, named);
    if (row == rows->end()) {
      line->place.log_number = log_.number;
      line->place.next = log_.durable();
    } else {
      auto place = parse_webhook_place(*row);
      if (!place) co_return fail(std::move(place));
      line->place = std::move(*place);
      line->place.settle_in(log_.number, log_.durable());
    }
    transaction.puts.push_back(to_row(line->place, line->hook.name));
  }
  if (transaction.puts.empty() && transaction.erases.empty()) co_return Result<void>{};
  auto stored = co_await parts_.journal.commit(std::move(transaction), {});
  if (!stored) co_return fail(std::move(stored));
  for (auto& line : lines_) {
    ++line->place.version;
    line->saved = line->place.next;
    parts_.tasks.spawn("webhook", run(*line));
  }
  co_return Result<void>{};
}

std::vector<Json> Webhooks::list(Lang lang) const {
  std::vector<Json> items;
  for (const auto& line : lines_) {
    const auto& place = line->place;
    const auto durable = log_.durable();
    Json item = {
        {"name", line->hook.name},
        {"events", line->hook.events},
        {"cursor", nullptr},
        {"behind", durable > place.next ? durable - place.next : 0},
        {"lastAnswer", nullptr},
        {"failedAttempts", line->failed},
        {"nextAttempt", nullptr}};
    if (place.next > 0) item["cursor"] = event_id(place.log_number, place.next - 1);
    if (place.last) item["lastAnswer"] = last_json(*place.last, lang);
    if (line->failed > 0) item["nextAttempt"] = format_micros(line->next_attempt);
    if (place.gap) item["gap"] = gap_json(*place.gap)["reason"];
    items.push_back(std::move(item));
  }
  return items;
}

awaitable<void> Webhooks::run(Line& line) {
  for (;;) {
    const auto done = co_await follow(line);
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none) co_return;
    if (!done) parts_.notices.note(Severity::error, done.error().message);
    co_await log_.timers.sleep_for(rest);
  }
}

// Returns with an error alone.
awaitable<Result<void>> Webhooks::follow(Line& line) {
  EventFilter filter{line.hook.events, {}};
  auto reader = EventReader::open(log_, line.place.next, std::move(filter));
  if (!reader) co_return fail(std::move(reader));
  for (Nanos unsaved = 0;;) {
    if (reader->behind() == 0) {
      if (line.place.gap) {
        const auto told = co_await tell_gap(line);
        if (!told) co_return tl::unexpected(told.error());
        continue;
      }
      co_await log_.timers.sleep_for(look);
      unsaved = line.place.next == line.saved ? 0 : unsaved + look;
    } else {
      const auto batch = co_await reader->read();
      if (!batch) co_return tl::unexpected(batch.error());
      if (batch->skipped > 0) line.place.miss("events.pruned", line.place.next, batch->skipped);
      for (const auto& event : batch->events) {
        auto told = co_await tell(line, event);
        if (!told) co_return told;
      }
      line.place.next = std::max(line.place.next, batch->next);
    }
    if (unsaved < longest_unsaved && line.place.next - line.saved < most_unsaved) continue;
    unsaved = 0;
    WebhookPlace place = line.place;
    auto saved = co_await save(line, std::move(place));
    if (!saved) co_return saved;
  }
}

// Until it was taken, or is dropped.
awaitable<Result<void>> Webhooks::tell(Line& line, const Event& event) {
  for (;;) {
    if (line.failed > 0 && too_old(line, event)) {
      WebhookPlace place = line.place;
      place.miss("events.dropped", event.seq, event.seq + 1);
      if (line.place.gap) {
        // Grown, and stored with the attempt to tell it.
        line.place = std::move(place);
        co_return Result<void>{};
      }
      parts_.notices.note(
          Severity::warning, {"events.webhook-dropped", {{"webhook", line.hook.name}}}
      );
      co_return co_await save(line, std::move(place));
    }
    if (line.place.gap) {
      const auto told = co_await tell_gap(line);
      if (!told) co_return tl::unexpected(told.error());
      if (!*told) continue;
    }
    auto taken = co_await attempt(line, event_id(log_.number, event.seq), text_of(event.data));
    if (!taken) co_return fail(std::move(taken));
    WebhookPlace place = line.place;
    if (*taken) place.next = event.seq + 1;
    auto saved = co_await save(line, std::move(place));
    if (!saved || *taken) co_return saved;
  }
}

// One attempt.
awaitable<Result<bool>> Webhooks::tell_gap(Line& line) {
  // Another id where it grew: a receiver that knows the smaller one must take this one too.
  std::string id = event_id(log_.number, line.place.gap->first) + "-gap";
  std::string body = text_of(gap_json(*line.place.gap));
  auto taken = co_await attempt(line, std::move(id), std::move(body));
  if (!taken) co_return taken;
  WebhookPlace place = line.place;
  if (*taken) place.gap.reset();
  auto saved = co_await save(line, std::move(place));
  if (!saved) co_return fail(std::move(saved));
  co_return taken;
}

// Whether it was taken. Waits first where the attempt before failed.
awaitable<Result<bool>> Webhooks::attempt(Line& line, std::string id, std::string body) {
  if (line.failed > 0) co_await log_.timers.sleep_for(webhook_pause(line.failed));
  PeerRequest request;
  request.to = webhook_party(line.hook.name);
  request.url = line.hook.url;
  request.http.method = "POST";
  request.http.body = std::move(body);
  request.answer_within = answer_within;
  sign_call(request.http, line.hook.key, id, parts_.clock.read().at);
  const auto answer = co_await parts_.programs.send(std::move(request));
  // A stop that cuts a call off is no fault of the receiver.
  const auto state = co_await boost::asio::this_coro::cancellation_state;
  if (!answer && state.cancelled() != boost::asio::cancellation_type::none) {
    co_return tl::unexpected(answer.error());
  }
  const auto now = parts_.clock.read().at;
  WebhookAnswer last;
  last.time = format_micros(now);
  if (answer) {
    last.status = answer->status;
  } else {
    last.fault = answer.error().message;
  }
  const bool taken = answer && answer->status / 100 == 2;
  if (taken && line.failed > 0) {
    parts_.notices.note(Severity::info, {"events.webhook-again", {{"webhook", line.hook.name}}});
  }
  if (!taken && line.failed == 0) {
    const std::string what = answer ? std::to_string(answer->status) : last.fault->code;
    parts_.notices.note(
        Severity::warning,
        {"events.webhook-failing", {{"webhook", line.hook.name}, {"answer", what}}}
    );
  }
  line.failed = taken ? 0 : line.failed + 1;
  if (!taken) line.next_attempt = now + webhook_pause(line.failed);
  line.place.last = std::move(last);
  co_return taken;
}

// Stored, and then shown.
awaitable<Result<void>> Webhooks::save(Line& line, WebhookPlace place) {
  Transaction transaction;
  transaction.puts.push_back(to_row(place, line.hook.name));
  auto stored = co_await parts_.journal.commit(std::move(transaction), {});
  if (!stored) co_return fail(std::move(stored));
  line.place = std::move(place);
  ++line.place.version;
  line.saved = line.place.next;
  co_return Result<void>{};
}

bool Webhooks::too_old(const Line& line, const Event& event) const {
  const auto now = parts_.clock.read();
  const auto at = parse_date_time(event.data.value("time", ""));
  // A clock that cannot be believed drops nothing.
  return now.reliable && at && now.at - at->instant > line.hook.max_age;
}

}  // namespace tally::events
