// The filter of a catalogue request: which datasets an asker wants to see of those it may see.
// docs/protocol.md has both forms that are understood, ours and the QuerySpec of an Eclipse EDC.
// What a filter asks is never more than equality, so it is answered from the text that is published
// and needs no tree (decision 0007). Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/json.hpp"
#include "tally/core/result.hpp"

namespace tally::catalog {

// A property has a value, or has it among its values.
struct Condition {
  std::string property;  // "@id", or an IRI or prefixed name, as the asker spelled it
  std::string value;     // as JSON text: a string, a number, true or false
  bool operator==(const Condition&) const = default;
};

struct Filter {
  std::vector<Condition> conditions;  // all of them must hold
  std::optional<std::size_t> limit;   // datasets on a page, where the asker says it
  std::size_t offset = 0;             // of the first page, in datasets that fit

  // Of a published dataset (Asset::dataset).
  [[nodiscard]] bool holds(std::string_view dataset) const;
  // In our own form: what read_filter makes the same conditions of.
  [[nodiscard]] Json to_json() const;
};

// The items of `filter` in a CatalogRequestMessage. Errors: invalid (catalog.filter-*) with a
// pointer into the message. Bounded: at most 16 conditions in 2 KiB.
Result<Filter> read_filter(const std::vector<Json>& items);

}  // namespace tally::catalog
