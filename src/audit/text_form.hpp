// The small texts that the formats of the transparency log share. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tally/core/digest.hpp"
#include "tally/core/number.hpp"

namespace tally::audit {

// Decimal digits without a leading zero, up to `most`.
inline std::optional<std::uint64_t> parse_number(
    std::string_view text, std::uint64_t most = (std::uint64_t{1} << 63) - 1
) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  const auto value = whole_number(text);
  return value && *value <= most ? value : std::nullopt;
}

inline std::optional<Digest> to_digest(const std::optional<Bytes>& bytes) {
  if (!bytes || bytes->size() != sizeof(Digest)) return std::nullopt;
  Digest digest{};
  std::copy_n(bytes->begin(), digest.size(), digest.begin());
  return digest;
}

// The next line, without its line feed, which must be there; nullopt at the end.
inline std::optional<std::string_view> take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace tally::audit
