#include "span_exporter.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"
#include "tally/core/json.hpp"

namespace tally::daemon {

namespace {

constexpr std::size_t most_queued = 2048;
constexpr std::size_t most_in_a_batch = 512;
constexpr Nanos between = seconds(1);
constexpr Nanos answer_within = seconds(10);
constexpr int kind_server = 2;   // SPAN_KIND_SERVER
constexpr int status_error = 2;  // STATUS_CODE_ERROR

// Numbers of 64 bits are texts in the JSON of protocol buffers.
std::string unix_nanos(Instant at) {
  return std::to_string(at - Instant{});
}

Json text_attribute(const std::string& key, const std::string& value) {
  return {{"key", key}, {"value", {{"stringValue", value}}}};
}

Json to_json(const Span& span) {
  Json attributes = Json::array();
  for (const auto& [key, value] : span.attributes) attributes.push_back(text_attribute(key, value));
  Json out = {
      {"traceId", to_hex(span.context.trace)},
      {"spanId", to_hex(span.context.span)},
      {"parentSpanId", to_hex(span.parent)},
      {"name", span.name},
      {"kind", kind_server},
      {"startTimeUnixNano", unix_nanos(span.began)},
      {"endTimeUnixNano", unix_nanos(span.ended)},
      {"attributes", std::move(attributes)}};
  if (span.failed) out["status"] = {{"code", status_error}};
  return out;
}

}  // namespace

PartyId collector_party() {
  return {"telemetry", "collector"};
}

std::string to_otlp(const std::vector<Span>& spans, const std::string& service) {
  Json list = Json::array();
  for (const auto& span : spans) list.push_back(to_json(span));
  Json scope = {{"scope", {{"name", "tally"}}}, {"spans", std::move(list)}};
  Json resource = {
      {"attributes",
       {text_attribute("service.name", "tally"), text_attribute("service.instance.id", service)}}};
  Json of_resource = {
      {"resource", std::move(resource)}, {"scopeSpans", Json::array({std::move(scope)})}};
  const Json out = {{"resourceSpans", Json::array({std::move(of_resource)})}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

SpanExporter::SpanExporter(
    Peer& peer, Timers& timers, Notices& notices, std::string url, std::string service
)
    : peer_(peer),
      timers_(timers),
      notices_(notices),
      url_(std::move(url)),
      service_(std::move(service)) {}

void SpanExporter::ended(Span span) {
  const std::lock_guard lock(mutex_);
  if (queue_.size() >= most_queued) {
    ++figures_.dropped;
  } else {
    queue_.push_back(std::move(span));
  }
}

SpanFigures SpanExporter::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

std::vector<Span> SpanExporter::take() {
  const std::lock_guard lock(mutex_);
  const auto count = std::min(queue_.size(), most_in_a_batch);
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<Span> out(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  return out;
}

awaitable<bool> SpanExporter::send(std::string body) {
  PeerRequest request;
  request.to = collector_party();
  request.url = url_;
  request.answer_within = answer_within;
  request.http.method = "POST";
  request.http.headers.set("Content-Type", "application/json");
  request.http.body = std::move(body);
  const auto answer = co_await peer_.send(std::move(request));
  const bool taken = answer && answer->status / 100 == 2;
  if (!taken && !failing_) {
    const auto why = answer ? std::to_string(answer->status) : answer.error().message.code;
    notices_.note(
        Severity::warning, {"daemon.collector-refuses", {{"url", url_}, {"reason", why}}}
    );
  }
  failing_ = !taken;
  co_return taken;
}

awaitable<void> SpanExporter::run() {
  for (;;) {
    co_await timers_.sleep_for(between);
    for (auto spans = take(); !spans.empty(); spans = take()) {
      auto body = to_otlp(spans, service_);
      const bool taken = co_await send(std::move(body));
      const std::lock_guard lock(mutex_);
      (taken ? figures_.exported : figures_.dropped) += spans.size();
    }
  }
}

}  // namespace tally::daemon
