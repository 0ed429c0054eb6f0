#include "tally/core/store.hpp"

#include <iterator>
#include <utility>

namespace tally {

Result<std::vector<Row>> all_rows(Store& store, std::string_view kind, std::string_view state) {
  std::vector<Row> all;
  Store::Query query;
  query.kind = kind;
  query.state = state;
  query.most = 500;
  for (;;) {
    auto page = store.rows(query);
    if (!page) return page;
    if (page->empty()) return all;
    query.after = page->back().id;
    std::move(page->begin(), page->end(), std::back_inserter(all));
  }
}

}  // namespace tally
