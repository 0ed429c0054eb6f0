#include "json_rewrite.hpp"

#include <array>
#include <charconv>

namespace tally::audit {
namespace {

constexpr std::size_t most_depth = 32;
constexpr std::int64_t largest_number = (std::int64_t{1} << 53) - 1;

// The escapes of one letter, and the characters that they stand for.
constexpr std::string_view letters = "\"\\/bfnrt";
constexpr std::string_view meant = "\"\\/\b\f\n\r\t";

bool stands_for_itself(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\';
}

std::optional<char32_t> hex_number(std::string_view digits) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value, 16);
  if (error != std::errc() || end != digits.end()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::string_view> JsonRewriter::rewrite(std::string_view text) {
  rest_ = text;
  out_.clear();
  depth_ = 0;
  if (!text.starts_with('{') || !value() || !rest_.empty()) return std::nullopt;
  return out_;
}

bool JsonRewriter::take(char c) {
  if (!rest_.starts_with(c)) return false;
  rest_.remove_prefix(1);
  return true;
}

bool JsonRewriter::word(std::string_view expected) {
  if (!rest_.starts_with(expected)) return false;
  rest_.remove_prefix(expected.size());
  out_ += expected;
  return true;
}

bool JsonRewriter::value() {
  if (rest_.empty()) return false;
  switch (rest_.front()) {
    case '{':
      return object();
    case '[':
      return array();
    case '"':
      return string();
    case 't':
      return word("true");
    case 'f':
      return word("false");
    case 'n':
      return word("null");
    default:
      return number();
  }
}

bool JsonRewriter::object() {
  if (++depth_ > most_depth) return false;
  take('{');
  out_ += '{';
  // Where the key before stands in what was written.
  std::size_t last_at = 0;
  std::size_t last_size = 0;
  for (bool first = true; !take('}'); first = false) {
    if (!first) {
      if (!take(',')) return false;
      out_ += ',';
    }
    const std::size_t at = out_.size();
    if (!string()) return false;
    const std::size_t size = out_.size() - at;
    const std::string_view written = out_;
    if (!first && written.substr(at, size - 1) <= written.substr(last_at, last_size - 1)) {
      return false;
    }
    last_at = at;
    last_size = size;
    if (!take(':')) return false;
    out_ += ':';
    if (!value()) return false;
  }
  out_ += '}';
  --depth_;
  return true;
}

bool JsonRewriter::array() {
  if (++depth_ > most_depth) return false;
  take('[');
  out_ += '[';
  for (bool first = true; !take(']'); first = false) {
    if (!first) {
      if (!take(',')) return false;
      out_ += ',';
    }
    if (!value()) return false;
  }
  out_ += ']';
  --depth_;
  return true;
}

bool JsonRewriter::number() {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(rest_.begin(), rest_.end(), value);
  if (error != std::errc() || value > largest_number || value < -largest_number) return false;
  rest_.remove_prefix(static_cast<std::size_t>(end - rest_.begin()));
  std::array<char, 20> digits{};
  const auto written = std::to_chars(digits.begin(), digits.end(), value);
  out_.append(digits.begin(), written.ptr);
  return true;
}

bool JsonRewriter::string() {
  if (!take('"')) return false;
  out_ += '"';
  for (;;) {
    std::size_t plain = 0;
    while (plain < rest_.size() && stands_for_itself(rest_[plain])) ++plain;
    out_ += rest_.substr(0, plain);
    rest_.remove_prefix(plain);
    if (take('"')) break;
    const auto next = rest_.starts_with('\\') ? escaped() : character();
    if (!next) return false;
    write(*next);
  }
  out_ += '"';
  return true;
}

std::optional<char32_t> JsonRewriter::escaped() {
  if (rest_.size() < 2) return std::nullopt;
  const std::size_t letter = letters.find(rest_[1]);
  if (letter != std::string_view::npos) {
    rest_.remove_prefix(2);
    return static_cast<unsigned char>(meant[letter]);
  }
  if (rest_[1] != 'u' || rest_.size() < 6) return std::nullopt;
  // Half of a pair becomes itself again, which is no text of UTF-8 and not what went in.
  const auto code = hex_number(rest_.substr(2, 4));
  rest_.remove_prefix(6);
  return code;
}

// One character beyond ASCII. A code point spelt too long or out of range is written otherwise than
// it stood there, or not at all.
std::optional<char32_t> JsonRewriter::character() {
  if (rest_.empty()) return std::nullopt;
  const auto lead = static_cast<unsigned char>(rest_[0]);
  const std::size_t size = lead < 0xC0   ? 0
                           : lead < 0xE0 ? 2
                           : lead < 0xF0 ? 3
                           : lead < 0xF8 ? 4
                                         : 0;
  if (size == 0 || rest_.size() < size) return std::nullopt;
  char32_t code = lead & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    const auto next = static_cast<unsigned char>(rest_[i]);
    if ((next & 0xC0U) != 0x80U) return std::nullopt;
    code = code << 6 | (next & 0x3FU);
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return std::nullopt;
  rest_.remove_prefix(size);
  return code;
}

void JsonRewriter::write(char32_t character) {
  const auto byte = [this](char32_t value) { out_ += static_cast<char>(value); };
  if (character < 0x80) {
    const std::size_t short_form = meant.find(static_cast<char>(character));
    if (character == '/' || (short_form == std::string_view::npos && character >= 0x20)) {
      byte(character);
    } else if (short_form != std::string_view::npos) {
      out_ += '\\';
      out_ += letters[short_form];
    } else {
      constexpr std::string_view digits = "0123456789abcdef";
      out_ += "\\u00";
      out_ += digits[character >> 4];
      out_ += digits[character & 0x0F];
    }
  } else if (character < 0x800) {
    byte(0xC0 | character >> 6);
    byte(0x80 | (character & 0x3F));
  } else if (character < 0x10000) {
    byte(0xE0 | character >> 12);
    byte(0x80 | (character >> 6 & 0x3F));
    byte(0x80 | (character & 0x3F));
  } else {
    byte(0xF0 | character >> 18);
    byte(0x80 | (character >> 12 & 0x3F));
    byte(0x80 | (character >> 6 & 0x3F));
    byte(0x80 | (character & 0x3F));
  }
}

}  // namespace tally::audit
