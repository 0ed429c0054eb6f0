// What a Shape is made of, and what it does to one record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "tally/dataplane/shape.hpp"

#include "mask.hpp"
#include "record.hpp"
#include "row_filter.hpp"

namespace tally::dataplane {

struct OutputColumn {
  std::size_t from = 0;  // into the input's columns; ascending
  std::optional<Mask> mask;
};

struct Shape::Parts {
  catalog::Schema input;
  catalog::Schema output;
  RowFilter filter;  // over the input's columns, before anything is masked
  std::vector<OutputColumn> columns;
  std::optional<std::uint64_t> most_rows;  // more than so many are handed out not at all
  Digest digest{};
};

// False: the row is left out. `in` is used up; `out` is kept between calls for its memory.
bool shape_record(const Shape::Parts& parts, Record& in, Record& out);

}  // namespace tally::dataplane
