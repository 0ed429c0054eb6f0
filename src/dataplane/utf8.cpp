#include "utf8.hpp"

#include <algorithm>
#include <array>

namespace tally::dataplane {

namespace {

constexpr std::uint32_t joiner = 0x200D;

struct Range {
  std::uint32_t first, last;
};
// Unicode's blocks of what is drawn with the character before it, however the font does it.
constexpr auto extending = std::to_array<Range>({
    {0x0300, 0x036F},    // combining diacritical marks
    {0x1AB0, 0x1AFF},    // the same, extended
    {0x1DC0, 0x1DFF},    // the same, supplement
    {joiner, joiner},    // zero width joiner
    {0x20D0, 0x20FF},    // the same, for symbols
    {0x3099, 0x309A},    // voiced sound marks of kana
    {0xFE00, 0xFE0F},    // variation selectors
    {0xFE20, 0xFE2F},    // combining half marks
    {0x1F3FB, 0x1F3FF},  // skin tones
    {0xE0100, 0xE01EF},  // variation selectors of ideographs
});

bool extends(std::uint32_t value) {
  return value >= extending.front().first &&
         std::ranges::any_of(extending, [&](const Range& range) {
           return value >= range.first && value <= range.last;
         });
}

}  // namespace

void append_utf8(std::string& out, std::uint32_t code_point) {
  const auto add = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code_point < 0x80) return add(code_point);
  if (code_point < 0x800) {
    add(0xC0 | (code_point >> 6));
  } else {
    if (code_point < 0x10000) {
      add(0xE0 | (code_point >> 12));
    } else {
      add(0xF0 | (code_point >> 18));
      add(0x80 | ((code_point >> 12) & 0x3F));
    }
    add(0x80 | ((code_point >> 6) & 0x3F));
  }
  add(0x80 | (code_point & 0x3F));
}

CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const std::uint32_t lead = byte(0);
  CodePoint out{lead, 1};
  if (lead >= 0xF0) {
    out = {lead & 0x07, 4};
  } else if (lead >= 0xE0) {
    out = {lead & 0x0F, 3};
  } else if (lead >= 0xC0) {
    out = {lead & 0x1F, 2};
  }
  out.bytes = std::min(out.bytes, text.size());
  for (std::size_t i = 1; i < out.bytes; ++i) out.value = (out.value << 6) | (byte(i) & 0x3F);
  return out;
}

std::size_t character_bytes(std::string_view text) {
  if (text.empty()) return 0;
  CodePoint last = first_code_point(text);
  std::size_t size = last.bytes;
  while (size < text.size()) {
    const CodePoint next = first_code_point(text.substr(size));
    // What a joiner joins is one character with what is before it.
    if (!extends(next.value) && last.value != joiner) break;
    size += next.bytes;
    last = next;
  }
  return size;
}

}  // namespace tally::dataplane
