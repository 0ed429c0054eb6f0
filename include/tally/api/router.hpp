// One router for every listener: a table of routes, roles, and one place where an error becomes an
// answer. A route is a line of the table; nothing else dispatches.
//
// Handlers run where the connection was accepted, unless their route says `home`: then on the home
// executor, where protocol state lives. A Router is immutable once built; any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tally/core/counting.hpp"
#include "tally/core/http.hpp"
#include "tally/core/json.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/trace.hpp"
#include "tally/identity/peer_identity.hpp"

namespace tally::api {

// Who may call a route. Each role may do what those before it in the list may not necessarily do:
// `allows` is the table.
enum class Role {
  anyone,     // no credential: health, version document of the public listener
  peer,       // an authenticated participant
  app,        // a registered local application
  auditor,    // reads
  operator_,  // negotiates, transfers, registers applications; reads
  admin,      // everything of the management API
};

std::string_view to_string(Role role);  // as the configuration of tokens says it

enum class Where { connection, home };

// One request on its way through.
struct Call {
  HttpRequest request;
  const identity::Caller& caller;
  Target target;
  std::vector<std::string> parameters;  // the ':' segments of the path, decoded
  Lang lang = Lang::en;
  Role role = Role::anyone;
  std::string principal;   // the token's name or the application's id
  std::string credential;  // what records call the token by: it tells neither token nor name
  Instant now;

  // First value of a query parameter, or empty.
  [[nodiscard]] std::string query(std::string_view name) const;
  // The body as strict JSON; errors are 400 (and 415 for another media type).
  [[nodiscard]] Result<Json> json(const Limits& limits) const;
};

using RouteHandler = std::function<awaitable<HttpResponse>(Call&)>;

struct Route {
  std::string_view method;
  std::string path;  // "/api/v1/agreements/:id"
  Role role = Role::admin;
  Where where = Where::home;
  RouteHandler handler;
};

// Says what a request's credential is worth on this listener. An Error is answered as it is.
struct Admission {
  Role role = Role::anyone;
  std::string principal;
  std::string credential{};
};
using Admit = std::function<Result<Admission>(const HttpRequest&, const identity::Caller&)>;

// What a router was asked since it was made.
struct RouterFigures {
  struct Answered {
    std::string_view method;  // of the table; empty with `path`
    std::string path;         // as the table has it; empty: no route was found
    int hundreds = 2;         // of the status
    std::uint64_t count = 0;
  };
  std::vector<Answered> answered;  // what occurred at least once
  // Nanoseconds from a request to the header of its answer: a body that is streamed goes on.
  Histogram::Reading taken;
};

[[nodiscard]] bool allows(Role required, Role held);

class CallLimits;

class Router {
 public:
  // `call_limits` may be null: nobody asks too often.
  Router(
      std::vector<Route> routes,
      Admit admit,
      boost::asio::any_io_executor home,
      const Limits& limits,
      Clock& clock,
      Notices& notices,
      CallLimits* call_limits = nullptr
  );

  // Tells `spans` of each request that somebody traces and wants recorded. Once, before the first
  // one; both outlive the router. Without it traces go through, and nobody is told.
  void trace_to(SpanSink& spans, Random& random);

  awaitable<HttpResponse> handle(HttpRequest request, const identity::Caller& caller) const;

  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }
  [[nodiscard]] RouterFigures figures() const;

 private:
  // Null: the credential is good for `route` (null: for saying that there is none), and the call
  // has it. Else the answer.
  std::optional<HttpResponse> admit(const Route* route, Call& call) const;
  // `route` is set to the number of the one that was found, or left.
  awaitable<HttpResponse> answer(
      HttpRequest request, const identity::Caller& caller, std::size_t& route
  ) const;
  awaitable<HttpResponse> dispatch(const Route& route, Call call) const;

  std::vector<Route> routes_;
  std::vector<std::vector<std::string>> patterns_;  // split paths, beside routes_
  Admit admit_;
  boost::asio::any_io_executor home_;
  const Limits& limits_;
  Clock& clock_;
  Notices& notices_;
  CallLimits* call_limits_;
  SpanSink* spans_ = nullptr;  // null: nobody is told of spans
  Random* random_ = nullptr;   // likewise
  mutable Counters answered_;  // by route, and the hundreds of the status
  mutable Histogram taken_;
};

// --- answers ---

int status_of(ErrorKind kind);
// A message as a part of an answer: code, parameters and the sentence in `lang`.
Json shown_message(const Message& message, Lang lang);
// RFC 9457, with the code, its parameters and the sentence in `lang`.
HttpResponse problem(const Error& error, Lang lang);
HttpResponse problem(int status, const Message& message, Lang lang, std::string_view pointer = {});
HttpResponse json_response(int status, const Json& body);
HttpResponse empty_response(int status);

}  // namespace tally::api
