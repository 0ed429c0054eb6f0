#include "tally/catalog/page.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/catalog/catalog.hpp"
#include "tally/core/digest.hpp"

#include "walk.hpp"

namespace tally::catalog {

namespace {

constexpr std::size_t longest_token = 4608;  // an id and a filter at their longest, as base64
constexpr std::size_t longest_id = 512;

std::size_t size_of(const Shown& dataset) {
  std::size_t bytes = dataset.asset->dataset.size() + 16;
  for (const Offer* offer : dataset.offers) bytes += offer->policy.size() + 1;
  return bytes;
}

// What of the walk fits on one page, in the order of the walk; and whether more would follow.
struct Taken {
  std::vector<Shown> datasets;
  bool more = false;
};
Taken take(Walk& walk, std::size_t most, std::size_t most_bytes) {
  Taken taken;
  std::size_t bytes = 0;
  while (auto dataset = walk.next()) {
    bytes += size_of(*dataset);
    const bool full = taken.datasets.size() >= most || bytes > most_bytes;
    if (full && !taken.datasets.empty()) {
      taken.more = true;
      break;
    }
    taken.datasets.push_back(std::move(*dataset));
  }
  return taken;
}

}  // namespace

std::string to_token(const Cursor& cursor) {
  const Json json = {
      {cursor.side == Cursor::Side::after ? "after" : "before", cursor.id},
      {"filter", cursor.filter.to_json()}};
  const std::string text = to_jcs(json);
  return to_base64url({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

Result<Cursor> read_token(std::string_view token) {
  const auto refused = [] { return fail(ErrorKind::invalid, {"catalog.token", {}}); };
  if (token.size() > longest_token) return refused();
  const auto bytes = from_base64url(token);
  if (!bytes) return refused();
  const auto json =
      parse_json({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, {longest_token, 8});
  if (!json || !json->is_object() || json->size() != 2) return refused();
  const auto filter = json->find("filter");
  if (filter == json->end() || !filter->is_array()) return refused();
  Cursor cursor;
  auto id = json->find("after");
  if (id == json->end()) {
    cursor.side = Cursor::Side::before;
    id = json->find("before");
  }
  if (id == json->end() || !id->is_string()) return refused();
  cursor.id = id->get<std::string>();
  auto read = read_filter(filter->get<std::vector<Json>>());
  if (cursor.id.size() > longest_id || !read || read->offset != 0) return refused();
  cursor.filter = std::move(*read);
  return cursor;
}

Page Catalog::page(const PageRequest& request) const {
  const std::size_t most = std::max<std::size_t>(request.filter.limit.value_or(request.most), 1);
  const Seen seen{*this, request.viewer, request.now, request.filter};
  const bool backwards = request.from && request.from->side == Cursor::Side::before;
  Taken taken;
  bool before = false;  // something lies before this page
  bool after = false;
  if (backwards) {
    Walk walk(seen, Walk::Way::back, request.from->id);
    taken = take(walk, most, request.most_bytes);
    before = taken.more;
    std::reverse(taken.datasets.begin(), taken.datasets.end());
    if (!taken.datasets.empty()) {
      after =
          Walk(seen, Walk::Way::forth, taken.datasets.back().asset->id.value).next().has_value();
    }
  } else {
    Walk walk(seen, Walk::Way::forth, request.from ? request.from->id : std::string());
    for (std::size_t i = 0; !request.from && i < request.filter.offset; ++i) {
      if (!walk.next()) break;
    }
    taken = take(walk, most, request.most_bytes);
    after = taken.more;
    const bool begins = !request.from && request.filter.offset == 0;
    if (!begins && !taken.datasets.empty()) {
      before =
          Walk(seen, Walk::Way::back, taken.datasets.front().asset->id.value).next().has_value();
    }
  }

  Page page;
  const std::string base_url = publisher_.base_url(request.viewer.party);
  const Distributions distributions(publisher_, request.viewer.party);
  page.body = publish_head(publisher_.participant_id, base_url);
  // Catalogues of others stand on the first page alone.
  if (!before) page.body += nested_;
  if (!taken.datasets.empty()) {
    page.body += ",\"dataset\":[";
    for (std::size_t i = 0; i < taken.datasets.size(); ++i) {
      if (i > 0) page.body += ',';
      append_dataset(page.body, *taken.datasets[i].asset, taken.datasets[i].offers, distributions);
    }
    page.body += ']';
  }
  page.body += '}';
  Filter filter = request.filter;
  filter.offset = 0;  // of the first page alone
  if (after) {
    page.next = Cursor{Cursor::Side::after, taken.datasets.back().asset->id.value, filter};
  }
  if (before) {
    page.previous =
        Cursor{Cursor::Side::before, taken.datasets.front().asset->id.value, std::move(filter)};
  }
  return page;
}

}  // namespace tally::catalog
