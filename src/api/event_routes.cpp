#include "event_routes.hpp"

#include <algorithm>
#include <utility>

#include "lists.hpp"

namespace tally::api {

namespace {

// "a,b" as two.
std::vector<std::string> listed(std::string_view text) {
  std::vector<std::string> all;
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    if (end > 0) all.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return all;
}

}  // namespace

awaitable<HttpResponse> get_events(ManagementParts parts, Call& call) {
  events::EventFilter filter{listed(call.query("type")), call.query("process")};
  if (const auto known = events::check_types(filter.types); !known) {
    co_return problem(known.error(), call.lang);
  }
  // A browser that comes again asks with the header; what the address says is older.
  std::string after(call.request.headers.get("Last-Event-ID").value_or(""));
  if (after.empty()) after = call.query("after");
  auto stream = parts->events.follow(std::move(filter), after);
  if (!stream) co_return problem(stream.error(), call.lang);
  HttpResponse response;
  response.headers.set("Content-Type", "text/event-stream");
  response.headers.set("Cache-Control", "no-store");
  response.stream = std::move(*stream);
  co_return response;
}

awaitable<HttpResponse> get_webhooks(ManagementParts parts, Call& call) {
  co_return cut_list(call, {{"items", parts->webhooks.list(call.lang)}}, "name");
}

}  // namespace tally::api
