#include "tally/api/router.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <nlohmann/json.hpp>

#include "tally/api/call_limits.hpp"
#include "tally/core/json.hpp"
#include "tally/dsp/binding.hpp"

#include "request_span.hpp"

namespace tally::api {

namespace {

constexpr std::size_t statuses = 5;  // 1xx to 5xx

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> segments;
  std::size_t start = 1;
  while (start <= path.size()) {
    const auto end = std::min(path.find('/', start), path.size());
    segments.emplace_back(path.substr(start, end - start));
    start = end + 1;
  }
  return segments;
}

bool fits(
    const std::vector<std::string>& pattern,
    const std::vector<std::string>& path,
    std::vector<std::string>& parameters
) {
  // "*" as the last segment takes the rest of the path.
  const bool open = !pattern.empty() && pattern.back() == "*";
  if (open ? path.size() < pattern.size() : path.size() != pattern.size()) return false;
  parameters.clear();
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (open && i + 1 == pattern.size()) break;
    if (pattern[i].starts_with(':')) {
      if (path[i].empty()) return false;
      parameters.push_back(path[i]);
    } else if (pattern[i] != path[i]) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string Call::query(std::string_view name) const {
  for (const auto& [key, value] : target.query) {
    if (key == name) return value;
  }
  return {};
}

Result<Json> Call::json(const Limits& limits) const {
  if (!dsp::is_json_media_type(request.headers.get("Content-Type").value_or(""))) {
    return fail(ErrorKind::invalid, {"api.media-type", {}});
  }
  return parse_json(request.body, {limits.control_body_bytes, limits.json_depth});
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::anyone:
      return "anyone";
    case Role::peer:
      return "peer";
    case Role::app:
      return "app";
    case Role::auditor:
      return "auditor";
    case Role::operator_:
      return "operator";
    case Role::admin:
      return "admin";
  }
  return "anyone";
}

bool allows(Role required, Role held) {
  switch (required) {
    case Role::anyone:
      return true;
    case Role::peer:
      return held == Role::peer;
    case Role::app:
      return held == Role::app;
    case Role::auditor:
      return held == Role::auditor || held == Role::operator_ || held == Role::admin;
    case Role::operator_:
      return held == Role::operator_ || held == Role::admin;
    case Role::admin:
      return held == Role::admin;
  }
  return false;
}

Router::Router(
    std::vector<Route> routes,
    Admit admit,
    boost::asio::any_io_executor home,
    const Limits& limits,
    Clock& clock,
    Notices& notices,
    CallLimits* call_limits
)
    : routes_(std::move(routes)),
      admit_(std::move(admit)),
      home_(std::move(home)),
      limits_(limits),
      clock_(clock),
      notices_(notices),
      call_limits_(call_limits),
      answered_((routes_.size() + 1) * statuses),
      taken_(duration_bounds()) {
  for (const auto& route : routes_) patterns_.push_back(split(route.path));
}

awaitable<HttpResponse> Router::handle(HttpRequest request, const identity::Caller& caller) const {
  const Instant began = clock_.read().at;
  std::size_t route = routes_.size();
  auto span = begin_span(request, random_, began);
  auto answering = answer(std::move(request), caller, route);
  HttpResponse response = co_await std::move(answering);
  const int hundreds = std::clamp(response.status / 100, 1, static_cast<int>(statuses));
  answered_.add(route * statuses + static_cast<std::size_t>(hundreds - 1));
  const Instant ended = clock_.read().at;
  // A clock that went back meanwhile gives no length.
  taken_.observe(static_cast<std::uint64_t>(std::max<Nanos>(0, ended - began)));
  if (span) {
    span->ended = ended;
    describe(*span, route < routes_.size() ? &routes_[route] : nullptr, response);
    spans_->ended(*std::move(span));
  }
  co_return response;
}

void Router::trace_to(SpanSink& spans, Random& random) {
  spans_ = &spans;
  random_ = &random;
}

RouterFigures Router::figures() const {
  RouterFigures out{{}, taken_.read()};
  const auto counts = answered_.read();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    const std::size_t route = i / statuses;
    const int hundreds = static_cast<int>(i % statuses) + 1;
    const bool is_known = route < routes_.size();
    out.answered.push_back(
        {is_known ? routes_[route].method : std::string_view(),
         is_known ? routes_[route].path : std::string(),
         hundreds,
         counts[i]}
    );
  }
  return out;
}

awaitable<HttpResponse> Router::answer(
    HttpRequest request, const identity::Caller& caller, std::size_t& route
) const {
  // What was begun is ended: a client that gives up, or a deadline that passes, must not cut a
  // change of state between its commit and what follows from it. Every wait below has a bound of
  // its own.
  co_await boost::asio::this_coro::reset_cancellation_state(
      boost::asio::disable_cancellation(), boost::asio::disable_cancellation()
  );
  const Lang lang = parse_lang(request.headers.get("Accept-Language").value_or(""));
  auto target = parse_target(request.target);
  if (!target) co_return problem(400, {"api.target-malformed", {}}, lang);

  Call call{std::move(request), caller, std::move(*target), {}, lang, {}, {}, {}, clock_.read().at};
  const Route* found = nullptr;
  std::string allow;
  // A path that is written out in the table is no value of a parameter of another line.
  const bool is_written_out = std::ranges::find(patterns_, call.target.path) != patterns_.end();
  for (std::size_t i = 0; i < routes_.size() && found == nullptr; ++i) {
    std::vector<std::string> parameters;
    if (!fits(patterns_[i], call.target.path, parameters)) continue;
    if (is_written_out && patterns_[i] != call.target.path) continue;
    if (routes_[i].method == "*" || routes_[i].method == call.request.method) {
      found = &routes_[i];
      route = i;
      call.parameters = std::move(parameters);
    } else {
      allow += (allow.empty() ? "" : ", ") + std::string(routes_[i].method);
    }
  }
  // A route without a credential is open to all; for the rest, who asks comes before what there is.
  if (found == nullptr || found->role != Role::anyone) {
    if (auto refused = admit(found, call)) co_return *std::move(refused);
  }
  if (found == nullptr) {
    if (allow.empty()) co_return problem(404, {"api.unknown-path", {}}, lang);
    auto wrong_method =
        problem(405, {"api.method", {{"method", call.request.method}, {"allow", allow}}}, lang);
    wrong_method.headers.set("Allow", allow);
    co_return wrong_method;
  }
  if (found->role != Role::anyone && !allows(found->role, call.role)) {
    co_return problem(403, {"api.role", {{"path", found->path}}}, lang);
  }
  if (found->where == Where::connection) co_return co_await dispatch(*found, std::move(call));
  auto at_home = dispatch(*found, std::move(call));
  co_return co_await boost::asio::co_spawn(home_, std::move(at_home), boost::asio::use_awaitable);
}

std::optional<HttpResponse> Router::admit(const Route* route, Call& call) const {
  auto admission = admit_(call.request, call.caller);
  if (!admission) {
    if (call_limits_ != nullptr && admission.error().kind == ErrorKind::unauthenticated) {
      auto too_soon = call_limits_->refuse_unknown(call.caller, call.now, call.lang);
      if (too_soon) return too_soon;
    }
    auto refused = problem(admission.error(), call.lang);
    if (refused.status == 401) refused.headers.set("WWW-Authenticate", "Bearer");
    return refused;
  }
  call.role = admission->role;
  call.principal = std::move(admission->principal);
  call.credential = std::move(admission->credential);
  if (call_limits_ == nullptr) return std::nullopt;
  // A name of a token may be a person's.
  const auto& caller = call.credential.empty() ? call.principal : call.credential;
  const Where where = route == nullptr ? Where::connection : route->where;
  return call_limits_->refuse(caller, where, call.now, call.lang);
}

awaitable<HttpResponse> Router::dispatch(const Route& route, Call call) const {
  try {
    co_return co_await route.handler(call);
  } catch (const std::exception& fault) {
    notices_.note(
        Severity::error, {"api.handler-threw", {{"path", route.path}, {"what", fault.what()}}}
    );
  }
  co_return problem(500, {"api.internal", {}}, call.lang);
}

int status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
      return 400;
    case ErrorKind::unauthenticated:
      return 401;
    case ErrorKind::forbidden:
      return 403;
    case ErrorKind::not_found:
      return 404;
    case ErrorKind::conflict:
      return 409;
    case ErrorKind::unavailable:
      return 503;
    case ErrorKind::internal:
      return 500;
  }
  return 500;
}

Json shown_message(const Message& message, Lang lang) {
  return {{"code", message.code}, {"params", message.params}, {"text", render(message, lang)}};
}

HttpResponse problem(int status, const Message& message, Lang lang, std::string_view pointer) {
  Json body = {
      {"type", "urn:tally:problem:" + message.code},
      {"status", status},
      {"title", message.code},
      {"code", message.code},
      {"detail", render(message, lang)},
  };
  if (!message.params.empty()) body["params"] = message.params;
  if (!pointer.empty()) body["pointer"] = pointer;
  HttpResponse response;
  response.status = status;
  response.headers.set("Content-Type", "application/problem+json");
  response.headers.set("Content-Language", lang == Lang::zh ? "zh" : "en");
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return response;
}

HttpResponse problem(const Error& error, Lang lang) {
  if (error.kind == ErrorKind::internal) return problem(500, {"api.internal", {}}, lang);
  return problem(status_of(error.kind), error.message, lang, error.pointer);
}

HttpResponse json_response(int status, const Json& body) {
  HttpResponse response;
  response.status = status;
  response.headers.set("Content-Type", "application/json");
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return response;
}

HttpResponse empty_response(int status) {
  HttpResponse response;
  response.status = status;
  return response;
}

}  // namespace tally::api
