// Any bytes as the filter of a catalogue request and as the token of a page. What is let through
// says the same once it was written and read again, and looking with it through a dataset ends.
// Seeds: written here (seeds.py).
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/catalog/filter.hpp"
#include "tally/catalog/page.hpp"
#include "tally/core/json.hpp"

namespace {

using namespace tally;
using namespace tally::catalog;

void expect(bool good) {
  if (!good) std::abort();
}

constexpr std::string_view dataset =
    R"({"@id":"urn:a","@type":"Dataset","dcat:keyword":["x",{"@value":"y"}],"dct:title":"\"t\""})";

void check(const Filter& filter) {
  const bool holds = filter.holds(dataset);
  const auto again = read_filter(filter.to_json().get<std::vector<Json>>());
  expect(again.has_value() && again->conditions == filter.conditions);
  expect(again->limit == filter.limit && again->holds(dataset) == holds);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto cursor = read_token(bytes)) {
    check(cursor->filter);
    const auto again = read_token(to_token(*cursor));
    expect(again && again->id == cursor->id && again->side == cursor->side);
  }
  const auto json = parse_json(bytes, {64 << 10, 32});
  if (!json || !json->is_array()) return 0;
  if (const auto filter = read_filter(json->get<std::vector<Json>>())) check(*filter);
  return 0;
}
