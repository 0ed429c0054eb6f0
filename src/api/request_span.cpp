#include "request_span.hpp"

#include <algorithm>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tally/core/message.hpp"

namespace tally::api {

namespace {

constexpr std::size_t longest_ids = 1024;

// The answer may be a provider's, passed on: what it calls an id or a code must be one.
bool is_list_of_ids(std::string_view text) {
  return text.size() <= longest_ids && text.find_first_not_of("0123456789abcdef-, ") == text.npos;
}

std::string code_of(const HttpResponse& response) {
  if (response.headers.get("Content-Type") != "application/problem+json") return {};
  const auto body = Json::parse(response.body, nullptr, false);
  if (!body.is_object()) return {};
  const auto code = body.find("code");
  if (code == body.end() || !code->is_string()) return {};
  const auto& text = code->get_ref<const std::string&>();
  return std::ranges::binary_search(sentence_table(), text, {}, &Sentence::code) ? text
                                                                                 : std::string();
}

}  // namespace

std::optional<Span> begin_span(HttpRequest& request, Random* random, Instant now) {
  const auto came = request.headers.get(trace_header);
  if (!came) return std::nullopt;
  auto context = request.headers.count(trace_header) == 1 ? parse_traceparent(*came) : std::nullopt;
  std::optional<Span> span;
  if (context && context->sampled && random != nullptr) {
    span.emplace();
    span->parent = context->span;
    span->began = now;
    random->fill(context->span);
    span->context = *context;
  }
  // What is not as it must be is carried no further.
  request.headers.set(trace_header, context ? to_traceparent(*context) : std::string());
  return span;
}

void describe(Span& span, const Route* route, const HttpResponse& response) {
  span.name = route != nullptr ? std::string(route->method) + " " + route->path : "none";
  span.failed = response.status >= 500;
  const auto say = [&span](const char* key, std::string value) {
    if (!value.empty()) span.attributes.emplace_back(key, std::move(value));
  };
  say("http.response.status_code", std::to_string(response.status));
  if (route != nullptr) {
    say("http.request.method", std::string(route->method));
    say("http.route", route->path);
  }
  const auto use = response.headers.get("Tally-Use").value_or("");
  if (is_list_of_ids(use)) say("tally.use", std::string(use));
  say("tally.code", code_of(response));
}

std::string trace_of(const Call& call) {
  return std::string(call.request.headers.get(trace_header).value_or(""));
}

void carry_trace(const std::string& trace, PeerRequest& to) {
  if (!trace.empty()) to.http.headers.set(trace_header, trace);
}

}  // namespace tally::api
