// One row's values, as they were written. Values; pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tally::dataplane {

// How a value was written. CSV knows text and nothing; what is nothing is null in JSON and an
// empty field without quotes in CSV.
enum class CellKind : std::uint8_t { absent, text, number, boolean };

struct Cell {
  CellKind kind = CellKind::absent;
  std::string text;  // UTF-8; a number or boolean as it was written
  bool operator==(const Cell&) const = default;
};

// One cell for each column of the schema, in its order.
using Record = std::vector<Cell>;

}  // namespace tally::dataplane
