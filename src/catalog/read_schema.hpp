// Reads the member `schema` of an asset's document, with every fault found in it.
#pragma once

#include <optional>
#include <vector>

#include "tally/catalog/schema.hpp"
#include "tally/catalog/strict_object.hpp"

namespace tally::catalog {

inline constexpr std::size_t most_columns = 1024;
inline constexpr std::size_t longest_column_name = 256;
inline constexpr int highest_level = 9;

// `in` is the asset, whose mediaType and level were read before. nullopt: it has no schema, or one
// that is at fault.
std::optional<Schema> read_schema(
    StrictObject& in,
    std::string_view media_type,
    int asset_level,
    const Document& document,
    std::vector<Problem>& faults
);

inline constexpr std::size_t most_parameters = 16;

// Reads the member `parameters`: each names a column of `schema`.
std::vector<Parameter> read_parameters(
    StrictObject& in,
    const std::optional<Schema>& schema,
    const Document& document,
    std::vector<Problem>& faults
);

}  // namespace tally::catalog
