// What a participant was told of an asset, as rows of the store (docs/aggregates.md, "What is
// remembered"): `aggregate_memory`, one for a participant and asset; `aggregate_row_ids`, the rows
// in parts; `aggregate_told`, the sets of one answer. Nothing is ever changed or dropped, but the
// first.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tally/core/ids.hpp"
#include "tally/core/store.hpp"

#include "compute.hpp"

namespace tally::aggregates {

class MemoryRows {
 public:
  // Home thread. Errors: unavailable, those of the store.
  static Result<MemoryRows> load(Store& store, const PartyId& consumer, const AssetId& asset);

  // Decodes; may take its time, so not on the home thread. Errors: internal
  // (aggregates.memory-unreadable): nothing may be answered.
  [[nodiscard]] Result<Memory> decode() const;

  // The rows to store for one more answer, or for none but its rows.
  void add(
      const Computed& computed,
      const AgreementId& agreement,
      std::size_t least,
      std::vector<Row>& puts
  ) const;

 private:
  Row head_;
  std::size_t rows_ = 0;              // as the head says
  std::size_t answers_ = 0;           // the same
  std::vector<std::string> row_ids_;  // bodies, in order
  std::vector<std::string> told_;
};

}  // namespace tally::aggregates
