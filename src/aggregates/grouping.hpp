// What the engine found: groups with their rows and values, nothing left out yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace tally::aggregates {

using Value = std::variant<std::monostate, std::int64_t, double, std::string>;

// Rows by their place in the source, in order, each once.
using RowSet = std::vector<std::uint32_t>;

struct Group {
  std::size_t level = 0;   // how many of the keys it is of
  std::vector<Value> key;  // so many
  RowSet rows;
  std::vector<Value> values;    // of the query's measures
  std::vector<RowSet> present;  // of each measured column: the rows that have a value
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  std::size_t parent =
      none;  // the group of one key less that holds it, where totals were asked for

  // What may leave; suppress() decides.
  bool shown = true;
  std::vector<bool> column_shown;  // beside `present`
};

// Parents before those that they hold; of one level in order of their keys.
using Grouping = std::vector<Group>;

}  // namespace tally::aggregates
