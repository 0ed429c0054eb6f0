// From the bytes of a source to the answer of one query, or to why there is none. Pure; blocks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"
#include "tally/dataplane/shape.hpp"

#include "bound_query.hpp"
#include "engine.hpp"
#include "row_codec.hpp"

namespace tally::aggregates {

// What a participant was told before of groups of an asset's rows, under whichever agreement.
struct Told {
  std::size_t least = 0;     // the smallest group of the agreement it was told under
  std::vector<RowSet> sets;  // of ordinals
};
struct Memory {
  std::vector<RowId> rows;  // by ordinal: every row that the source ever had when it was asked
  std::vector<Told> told;
};

struct ComputeLimits {
  EngineLimits engine;
  std::size_t record_bytes = 1 << 20;
  std::size_t rows = 250'000;  // of a source, and of all that is remembered
  std::size_t sets = 2'000;    // that are remembered of one participant and asset
  std::size_t cells = 10'000;  // values of one answer
};

// Which protections are on. All, but in the control runs of tests.
struct Protection {
  bool secondary = true;
  bool distance = true;
};

struct Computed {
  Json answer;               // {"groups", "totals"}
  std::size_t cells = 0;     // values that are told
  std::vector<RowId> fresh;  // rows that the memory did not know; their ordinals follow its own
  std::vector<RowSet> told;  // sets of ordinals that it did not have
};
struct Computation {
  std::optional<Message> refused;  // aggregates.too-close, -source-edited, -memory-full, -too-much
  Computed computed;
};

// Errors: those of the data (ShapedRows::next); those of the engine; forbidden:
// aggregates.too-many-rows, -too-many-cells.
Result<Computation> compute(
    std::span<const std::uint8_t> bytes,
    const dataplane::ShapePtr& shape,
    const BoundQuery& query,
    std::size_t least,
    const Memory& memory,
    const ComputeLimits& limits = {},
    const Protection& protection = {}
);

}  // namespace tally::aggregates
