// Pages of the catalogue (DSP 2025-1, catalog protocol, pagination). Datasets are ordered by id,
// and a link says behind or before which id a page lies. So it stands for a place, not for a
// number: what came or went elsewhere in the meantime moves nothing, and every dataset that is
// there the whole time is seen exactly once. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "tally/catalog/filter.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/result.hpp"
#include "tally/core/viewer.hpp"

namespace tally::catalog {

// A place, with the filter of those who go on from it.
struct Cursor {
  enum class Side { after, before };
  Side side = Side::after;
  std::string id;  // of a dataset, which need not be there any more
  Filter filter;
};

// What a link carries. It is no secret and no proof: it says nothing but what the asker was shown,
// and who asks is looked at anew for each page. At most 4.5 KiB of letters, digits, '-' and '_'.
std::string to_token(const Cursor& cursor);
// Errors: invalid (catalog.token).
Result<Cursor> read_token(std::string_view token);

struct PageRequest {
  Viewer viewer;
  Instant now;  // offers that are over by then are not shown
  Filter filter;
  std::optional<Cursor> from;          // absent: the first page
  std::size_t most = 100;              // datasets
  std::size_t most_bytes = 768 << 10;  // of the datasets; one is on a page however large it is
};

struct Page {
  std::string body;  // a Catalog, JSON text
  std::optional<Cursor> next;
  std::optional<Cursor> previous;
};

}  // namespace tally::catalog
