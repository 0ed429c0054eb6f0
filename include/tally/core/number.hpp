// Whole numbers as texts have them: names of files, members of a query, fields of a record. Pure.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tally {

// Decimal digits and nothing else; nullopt for what is none, and what does not fit.
inline std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const char* behind = text.data() + text.size();
  const auto [end, fault] = std::from_chars(text.data(), behind, value);
  if (fault != std::errc() || end != behind) return std::nullopt;
  return value;
}

}  // namespace tally
