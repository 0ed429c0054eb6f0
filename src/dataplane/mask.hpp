// What is put in a value's place. Nothing of the value is left but what the mask says; where a mask
// does not understand a value, nothing is left at all. What is absent stays so, but for Replace,
// which hides that too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "tally/catalog/schema.hpp"
#include "tally/core/digest.hpp"

#include "record.hpp"

namespace tally::dataplane {

// The first and last characters stay, each one between them is a '*'. A value of no more characters
// than stay is hidden whole: a short one would show itself.
struct Keep {
  std::size_t head = 0;
  std::size_t tail = 0;
};
// HMAC-SHA256 of the value's text, cut to 128 bits, in hexadecimal.
struct Pseudonym {
  Digest key{};
};
// A date or time is its year, month or day, as it was written.
enum class Calendar : std::uint8_t { year, month, day };
// A number is the largest multiple of `step` that is not above it.
struct Round {
  std::int64_t step = 1;  // 1 to 10^15
};
struct Replace {
  Cell with;  // absent: nothing
};

using Mask = std::variant<Keep, Pseudonym, Calendar, Round, Replace>;

void apply(const Mask& mask, catalog::ColumnType type, catalog::DataForm form, Cell& cell);

}  // namespace tally::dataplane
