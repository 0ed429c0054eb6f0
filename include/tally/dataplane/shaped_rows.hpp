// The rows of a source in a shape, one by one, for whoever works with values instead of handing
// bytes out. Each also says which row of the source it is, whatever the shape leaves of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tally/core/digest.hpp"
#include "tally/dataplane/cell.hpp"
#include "tally/dataplane/shape.hpp"

namespace tally::dataplane {

struct ShapedRow {
  // Over the row as the source has it, before rows are chosen and values masked: the same row has
  // the same one under every agreement.
  Digest content{};
  bool chosen = false;  // by the shape's rows; else it has no values
  Record values;        // one for each column of Shape::output
};

class ShapedRows {
 public:
  // All of the data, in one piece. `bytes` outlives it. `record_bytes`: Limits::record_bytes.
  ShapedRows(std::span<const std::uint8_t> bytes, ShapePtr shape, std::size_t record_bytes);
  ~ShapedRows();

  // False: that was all. Errors: unavailable, the data do not fit the schema: as of shaped_body.
  Result<bool> next(ShapedRow& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::dataplane
