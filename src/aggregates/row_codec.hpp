// How rows and sets of rows are kept: bytes that a row of the store can hold.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/digest.hpp"

#include "grouping.hpp"

namespace tally::aggregates {

// Which row it is, whatever becomes of the others: the digest of what it says, and the how-manieth
// of those that say the same it is.
using RowId = std::array<std::uint8_t, 16>;

RowId row_id(const Digest& content, std::uint64_t occurrence);

std::string encode_ids(std::span<const RowId> ids);
std::optional<std::vector<RowId>> decode_ids(std::string_view text);

// The shorter of a bitmap and a list of gaps. nullopt: it is no such text, or names a row that is
// not below `rows`.
std::string encode_set(const RowSet& set);
std::optional<RowSet> decode_set(std::string_view text, std::size_t rows);

}  // namespace tally::aggregates
