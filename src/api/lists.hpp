// Lists in pages, and answers that a client need not fetch twice: one idiom for the whole API
// (docs/management-api.md, "Lists" and "ETags").
//
// A page has at most `limit` items (1 to 1,000; 100 where the request does not say), those behind
// `after`. `next` in the body, and the Link to the same with `rel="next"` (RFC 8288), lead to the
// page that follows; the last page has neither. What is added meanwhile is on a later page or on
// none. Nothing is shown twice, but of a list whose order is its own and that changed meanwhile.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/api/router.hpp"
#include "tally/core/store.hpp"

namespace tally::api {

struct PageWish {
  std::size_t limit = 100;
  std::string after;
};

// Errors: invalid (api.limit-malformed).
Result<PageWish> page_wish(const Call& call);

// Of items asked for with one beyond the limit: takes that one away. Whether it was there, and so a
// page follows.
template <class Item>
bool cut_to_page(std::vector<Item>& items, const PageWish& wish) {
  if (items.size() <= wish.limit) return false;
  items.resize(wish.limit);
  return true;
}

// What a row looks like in a list; null: it is in none. Errors become the answer.
using ShowRow = std::function<Result<Json>(const Row& row)>;
// The page of the rows that `query` names, as the call wishes it.
HttpResponse list_of_rows(const Call& call, Store& store, Store::Query query, const ShowRow& show);

// `body` has `items`; `next` is the `after` of the page that follows, empty on the last.
HttpResponse list_response(const Call& call, Json body, const std::string& next);

// A list that is known as a whole, in `items` of `body`. They are put in the order of the member
// `key`, which no two share; in_their_order: their order stands, and `after` is a place in it.
constexpr const char* in_their_order = nullptr;
HttpResponse cut_list(const Call& call, Json body, const char* key);

// 200 answers get an ETag of their bytes; 304 where If-None-Match names it (RFC 9110,
// section 13.1.2). Answers that are not to be stored, and streams, stay as they are.
RouteHandler conditional(RouteHandler handler);

}  // namespace tally::api
