#include "lists.hpp"

#include <algorithm>
#include <utility>

#include "tally/core/digest.hpp"
#include "tally/core/link.hpp"
#include "tally/core/number.hpp"

namespace tally::api {

namespace {

constexpr std::size_t most_items = 1000;

// The request's own target with another `after`.
std::string target_after(const Call& call, const std::string& next) {
  std::string out = call.request.target.substr(0, call.request.target.find('?'));
  char separator = '?';
  const auto add = [&](const std::string& name, const std::string& value) {
    out += separator + percent_encode_segment(name) + "=" + percent_encode_segment(value);
    separator = '&';
  };
  for (const auto& [name, value] : call.target.query) {
    if (name != "after") add(name, value);
  }
  add("after", next);
  return out;
}

std::string key_of(const Json& item, const char* key) {
  const auto found = item.find(key);
  return found != item.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Whether a field of If-None-Match names this tag; weak ones are compared as strong ones.
bool names(std::string_view field, std::string_view tag) {
  while (!field.empty()) {
    const auto comma = field.find(',');
    auto one = field.substr(0, comma);
    while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
    while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == "*" || one == tag) return true;
    if (comma == std::string_view::npos) break;
    field.remove_prefix(comma + 1);
  }
  return false;
}

}  // namespace

Result<PageWish> page_wish(const Call& call) {
  PageWish wish;
  wish.after = call.query("after");
  const auto limit = call.query("limit");
  if (limit.empty()) return wish;
  const auto number = whole_number(limit);
  if (!number || *number == 0 || *number > most_items) {
    return fail(
        ErrorKind::invalid, {"api.limit-malformed", {{"most", std::to_string(most_items)}}}
    );
  }
  wish.limit = *number;
  return wish;
}

HttpResponse list_of_rows(const Call& call, Store& store, Store::Query query, const ShowRow& show) {
  const auto wish = page_wish(call);
  if (!wish) return problem(wish.error(), call.lang);
  query.after = wish->after;
  query.most = wish->limit + 1;
  auto rows = store.rows(query);
  if (!rows) return problem(rows.error(), call.lang);
  const bool more = cut_to_page(*rows, *wish);
  Json items = Json::array();
  for (const Row& row : *rows) {
    auto item = show(row);
    if (!item) return problem(item.error(), call.lang);
    if (!item->is_null()) items.push_back(std::move(*item));
  }
  return list_response(call, {{"items", std::move(items)}}, more ? rows->back().id : std::string());
}

HttpResponse list_response(const Call& call, Json body, const std::string& next) {
  if (!next.empty()) body["next"] = next;
  auto response = json_response(200, body);
  if (!next.empty()) response.headers.set("Link", link_value(target_after(call, next), "next"));
  return response;
}

HttpResponse cut_list(const Call& call, Json body, const char* key) {
  const auto wish = page_wish(call);
  if (!wish) return problem(wish.error(), call.lang);
  auto all = std::move(body["items"].get_ref<Json::array_t&>());
  std::size_t first = 0;
  if (key == nullptr) {
    first = std::min(whole_number(wish->after).value_or(0), all.size());
  } else {
    std::ranges::sort(all, {}, [key](const Json& item) { return key_of(item, key); });
    const auto behind = std::ranges::upper_bound(all, wish->after, {}, [key](const Json& item) {
      return key_of(item, key);
    });
    if (!wish->after.empty()) first = static_cast<std::size_t>(behind - all.begin());
  }
  const std::size_t end = std::min(first + wish->limit, all.size());
  Json items = Json::array();
  for (std::size_t i = first; i < end; ++i) items.push_back(std::move(all[i]));
  std::string next;
  if (end < all.size()) next = key == nullptr ? std::to_string(end) : key_of(items.back(), key);
  body["items"] = std::move(items);
  return list_response(call, std::move(body), next);
}

RouteHandler conditional(RouteHandler handler) {
  return [handler = std::move(handler)](Call& call) -> awaitable<HttpResponse> {
    auto response = co_await handler(call);
    if (response.status != 200 || response.stream || response.headers.get("ETag") ||
        response.headers.get("Cache-Control")) {
      co_return response;
    }
    const std::string tag = '"' + to_hex(sha256(response.body)).substr(0, 32) + '"';
    response.headers.set("ETag", tag);
    // What a cache keeps it asks about each time: who may read it is decided anew.
    response.headers.set("Cache-Control", "private, no-cache");
    response.headers.set("Vary", "Accept-Language, Authorization");
    const auto known = call.request.headers.get("If-None-Match");
    if (!known || !names(*known, tag)) co_return response;
    auto unchanged = empty_response(304);
    for (const char* name : {"ETag", "Cache-Control", "Vary", "Link"}) {
      if (const auto value = response.headers.get(name)) {
        unchanged.headers.set(name, std::string(*value));
      }
    }
    co_return unchanged;
  };
}

}  // namespace tally::api
