#include "record_scan.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tally::audit {

namespace {

constexpr int most_depth = 16;
constexpr std::size_t most_text_bytes = 0xFFFFFFFF;  // offsets have 32 bits
constexpr std::string_view largest_integer = "9007199254740991";

// Characters that stand for themselves in a string and end nothing: ASCII but for controls, the
// quote and the backslash.
constexpr std::array<bool, 256> plain_bytes = [] {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();
bool is_plain(char c) {
  return plain_bytes[static_cast<unsigned char>(c)];
}

// Where the first byte at or behind `at` stands that is not plain. Most of a record is such bytes,
// so sixteen are looked at at once.
std::size_t past_plain(std::string_view text, std::size_t at) {
#if defined(__SSE2__)
  // As signed bytes, what is beyond ASCII is below the blank too.
  const __m128i blank = _mm_set1_epi8(' ');
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  for (; at + sizeof(__m128i) <= text.size(); at += sizeof(__m128i)) {
    __m128i bytes;
    std::memcpy(&bytes, text.data() + at, sizeof bytes);
    const __m128i special = _mm_or_si128(
        _mm_cmplt_epi8(bytes, blank),
        _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash))
    );
    const auto found = static_cast<unsigned>(_mm_movemask_epi8(special));
    if (found != 0) return at + static_cast<std::size_t>(std::countr_zero(found));
  }
#endif
  while (at < text.size() && is_plain(text[at])) ++at;
  return at;
}

// Whether a key stands behind another one. Both are ASCII, and one of the first bytes decides.
bool is_behind(std::string_view key, std::string_view last) {
  const std::size_t both = std::min(key.size(), last.size());
  for (std::size_t i = 0; i < both; ++i) {
    if (key[i] != last[i]) return key[i] > last[i];
  }
  return key.size() > last.size();
}

}  // namespace

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::size_t at = 0;

  bool value(int depth) {
    if (at >= text_.size() || depth > most_depth) return false;
    switch (text_[at]) {
      case '{':
        return object(depth, nullptr);
      case '[':
        return array(depth);
      case '"': {
        bool plain = true;
        return string(plain);
      }
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return integer();
    }
  }

  // Members in strictly rising order of their keys: sorted, and none twice.
  bool object(int depth, RecordScan* top) {
    ++at;
    if (take('}')) return true;
    std::string_view last;
    bool first = true;
    for (;;) {
      const std::size_t key_at = at;
      bool plain = true;
      if (!string(plain)) return false;
      const std::string_view key = text_.substr(key_at + 1, at - key_at - 2);
      // Keys with escapes or beyond ASCII would need an order of UTF-16 units; records have none.
      if (!plain || (!first && !is_behind(key, last))) {
        at = key_at;
        return false;
      }
      first = false;
      last = key;
      if (!take(':')) return false;
      const std::size_t start = at;
      if (!value(depth + 1)) return false;
      if (top != nullptr) {
        if (top->count_ == RecordScan::most_members) return false;
        top->places_[top->count_++] = {piece(key_at + 1, key.size()), piece(start, at - start)};
      }
      if (take('}')) return true;
      if (!take(',')) return false;
    }
  }

 private:
  static RecordScan::Piece piece(std::size_t at, std::size_t size) {
    return {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(size)};
  }

  bool take(char c) {
    if (at >= text_.size() || text_[at] != c) return false;
    ++at;
    return true;
  }

  bool word(std::string_view expected) {
    if (text_.substr(at, expected.size()) != expected) return false;
    at += expected.size();
    return true;
  }

  bool array(int depth) {
    ++at;
    if (take(']')) return true;
    for (;;) {
      if (!value(depth + 1)) return false;
      if (take(']')) return true;
      if (!take(',')) return false;
    }
  }

  bool integer() {
    const std::size_t start = at;
    const bool negative = take('-');
    const std::size_t digits = at;
    while (at < text_.size() && text_[at] >= '0' && text_[at] <= '9') ++at;
    const std::string_view number = text_.substr(digits, at - digits);
    const bool fine = !number.empty() && (number[0] != '0' || (number.size() == 1 && !negative)) &&
                      (number.size() < largest_integer.size() ||
                       (number.size() == largest_integer.size() && number <= largest_integer));
    if (!fine) at = start;
    return fine;
  }

  // Minimal escapes only: \" \\ \b \f \n \r \t, \u00xx in lower case for the other controls, and
  // valid UTF-8 for all else. `plain` becomes false when there is any of these but ASCII.
  bool string(bool& plain) {
    if (!take('"')) return false;
    for (;;) {
      at = past_plain(text_, at);
      if (at == text_.size()) return false;
      const auto c = static_cast<unsigned char>(text_[at]);
      if (c == '"') {
        ++at;
        return true;
      }
      if (c < 0x20) return false;
      plain = false;
      if (c == '\\' ? !escape() : !utf8()) return false;
    }
  }

  bool escape() {
    if (at + 1 >= text_.size()) return false;
    switch (text_[at + 1]) {
      case '"':
      case '\\':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't':
        at += 2;
        return true;
      case 'u':
        break;
      default:
        return false;
    }
    if (at + 6 > text_.size() || text_[at + 2] != '0' || text_[at + 3] != '0') return false;
    const auto nibble = [](char c) {
      if (c >= '0' && c <= '9') return c - '0';
      if (c >= 'a' && c <= 'f') return c - 'a' + 10;
      return -1;
    };
    const int high = nibble(text_[at + 4]);
    const int low = nibble(text_[at + 5]);
    if (high < 0 || low < 0) return false;
    const int code = high * 16 + low;
    if (code >= 0x20 || code == '\b' || code == '\f' || code == '\n' || code == '\r' ||
        code == '\t') {
      return false;
    }
    at += 6;
    return true;
  }

  bool utf8() {
    const auto byte = [this](std::size_t i) {
      return i < text_.size() ? static_cast<unsigned char>(text_[i]) : 0U;
    };
    const unsigned lead = byte(at);
    std::size_t length = 0;
    std::uint32_t code = 0;
    if (lead >= 0xC2 && lead <= 0xDF) {
      length = 2;
      code = lead & 0x1FU;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      length = 3;
      code = lead & 0x0FU;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      length = 4;
      code = lead & 0x07U;
    } else {
      return false;
    }
    for (std::size_t i = 1; i < length; ++i) {
      const unsigned next = byte(at + i);
      if ((next & 0xC0U) != 0x80U) return false;
      code = (code << 6) | (next & 0x3FU);
    }
    if ((length == 3 && (code < 0x800 || (code >= 0xD800 && code <= 0xDFFF))) ||
        (length == 4 && (code < 0x10000 || code > 0x10FFFF))) {
      return false;
    }
    at += length;
    return true;
  }

  std::string_view text_;
};

std::string_view RecordScan::value(std::string_view key) const {
  for (std::size_t i = 0; i < count_; ++i) {
    if (at(places_[i].key) == key) return at(places_[i].value);
  }
  return {};
}

std::string_view RecordScan::plain(std::string_view key) const {
  return plain_content(value(key));
}

RecordScan scan_record(std::string_view text) {
  RecordScan scan;
  scan.text_ = text;
  Scanner scanner(text);
  scan.canonical = !text.empty() && text.size() <= most_text_bytes && text[0] == '{' &&
                   scanner.object(0, &scan) && scanner.at == text.size();
  scan.fault = scanner.at;
  return scan;
}

std::string quote(std::string_view text) {
  static constexpr std::string_view hex = "0123456789abcdef";
  std::string out;
  out.reserve(text.size() + 2);
  out += '"';
  std::size_t run = past_plain(text, 0);
  while (run < text.size() && static_cast<unsigned char>(text[run]) >= 0x80) {
    run = past_plain(text, run + 1);
  }
  out += text.substr(0, run);
  for (const char c : text.substr(run)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte >= 0x20) {
      out += c;
    } else if (c == '\b') {
      out += "\\b";
    } else if (c == '\f') {
      out += "\\f";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += "\\u00";
      out += hex[byte >> 4];
      out += hex[byte & 0x0F];
    }
  }
  out += '"';
  return out;
}

bool is_canonical_value(std::string_view text) {
  Scanner scanner(text);
  return scanner.value(1) && scanner.at == text.size();
}

}  // namespace tally::audit
