// Any bytes as a query about groups. What is taken has one canonical form, which is read as itself,
// and is bound to columns and answered, or refused by name; what is answered has no group that is
// too small. Seeds: the project's cases (seeds.py).
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tally/aggregates/query.hpp"

#include "aggregates/bound_query.hpp"
#include "aggregates/compute.hpp"

namespace {

using namespace tally;
using namespace tally::aggregates;

constexpr std::string_view data =
    "a,n,x,d,b\r\np,1,0.5,2026-01-01,true\r\np,2,,2026-01-02,false\r\nq,,1.5,,true\r\n"
    "q,4,2.5,2026-01-04,true\r\nq,5,3.5,2026-01-05,false\r\n";
constexpr std::size_t least = 2;

void expect(bool good) {
  if (!good) std::abort();
}

const catalog::Schema& schema() {
  static const catalog::Schema made = [] {
    using catalog::ColumnType;
    catalog::Schema out;
    const std::pair<const char*, ColumnType> columns[] = {
        {"a", ColumnType::text},
        {"n", ColumnType::integer},
        {"x", ColumnType::decimal},
        {"d", ColumnType::date},
        {"b", ColumnType::boolean}};
    for (const auto& [name, type] : columns) {
      catalog::Column column;
      column.name = name;
      column.type = type;
      out.columns.push_back(std::move(column));
    }
    return out;
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto document = parse_json(text, {query_bytes, 16});
  if (!document) return 0;
  const auto query = read_query(*document);
  if (!query) return 0;
  const auto again = read_query(aggregates::to_json(*query));
  expect(again && *again == *query && digest_of(*again) == digest_of(*query));

  static const auto shape =
      *dataplane::compile_shape({}, schema(), nullptr, dataplane::PrivateColumns::decided);
  GroupTerms terms;
  terms.min_group_size = least;
  terms.functions = {Function::count, Function::sum, Function::avg, Function::min, Function::max};
  terms.columns_named = true;
  const auto bound = bind(*query, schema(), terms);
  if (!bound) return 0;
  const auto done = compute(as_bytes(data), shape, *bound, least, {});
  expect(done.has_value());
  for (const auto& set : done->computed.told) expect(set.size() >= least);
  return 0;
}
