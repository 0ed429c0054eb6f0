#include "row_codec.hpp"

#include <algorithm>

namespace tally::aggregates {

namespace {

constexpr std::uint8_t of_bits = 'b';
constexpr std::uint8_t of_gaps = 'g';

// Seven bits a byte, the lowest first; the highest bit says that more follow.
void put(Bytes& out, std::uint32_t number) {
  while (number >= 0x80) {
    out.push_back(static_cast<std::uint8_t>(number | 0x80));
    number >>= 7;
  }
  out.push_back(static_cast<std::uint8_t>(number));
}

std::optional<std::uint32_t> take(std::span<const std::uint8_t>& from) {
  std::uint64_t number = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    if (from.empty()) return std::nullopt;
    const auto byte = from.front();
    from = from.subspan(1);
    number |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
    if ((byte & 0x80U) != 0) continue;
    if (number > UINT32_MAX) return std::nullopt;
    return static_cast<std::uint32_t>(number);
  }
  return std::nullopt;
}

}  // namespace

RowId row_id(const Digest& content, std::uint64_t occurrence) {
  std::string text = "tally-row/1 " + std::to_string(occurrence) + " ";
  text.append(content.begin(), content.end());
  const auto digest = sha256(text);
  RowId out{};
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}

std::string encode_ids(std::span<const RowId> ids) {
  Bytes bytes;
  bytes.reserve(ids.size() * sizeof(RowId));
  for (const auto& id : ids) bytes.insert(bytes.end(), id.begin(), id.end());
  return to_base64(bytes);
}

std::optional<std::vector<RowId>> decode_ids(std::string_view text) {
  const auto bytes = from_base64(text);
  if (!bytes || bytes->size() % sizeof(RowId) != 0) return std::nullopt;
  std::vector<RowId> out(bytes->size() / sizeof(RowId));
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::copy_n(
        bytes->begin() + static_cast<std::ptrdiff_t>(i * sizeof(RowId)),
        sizeof(RowId),
        out[i].begin()
    );
  }
  return out;
}

std::string encode_set(const RowSet& set) {
  Bytes gaps{of_gaps};
  std::uint32_t next = 0;
  for (const auto row : set) {
    put(gaps, row - next);
    next = row + 1;
  }
  Bytes bits{of_bits};
  bits.resize(1 + (next + 7) / 8, 0);
  if (bits.size() >= gaps.size()) return to_base64(gaps);
  for (const auto row : set) {
    bits[1 + row / 8] = static_cast<std::uint8_t>(bits[1 + row / 8] | (1U << row % 8));
  }
  return to_base64(bits);
}

std::optional<RowSet> decode_set(std::string_view text, std::size_t rows) {
  const auto bytes = from_base64(text);
  if (!bytes || bytes->empty()) return std::nullopt;
  std::span<const std::uint8_t> left(*bytes);
  const auto form = left.front();
  left = left.subspan(1);
  RowSet out;
  if (form == of_bits) {
    for (std::size_t i = 0; i < left.size() * 8; ++i) {
      if ((left[i / 8] >> i % 8 & 1) != 0) out.push_back(static_cast<std::uint32_t>(i));
    }
  } else if (form == of_gaps) {
    std::uint64_t next = 0;
    while (!left.empty()) {
      const auto gap = take(left);
      if (!gap || next + *gap >= rows) return std::nullopt;
      out.push_back(static_cast<std::uint32_t>(next + *gap));
      next += *gap + std::uint64_t{1};
    }
  } else {
    return std::nullopt;
  }
  if (!out.empty() && out.back() >= rows) return std::nullopt;
  return out;
}

}  // namespace tally::aggregates
