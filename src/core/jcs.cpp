#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally {
namespace {

void write_string(std::string& out, const std::string& text) {
  constexpr char digits[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += digits[c >> 4];
          out += digits[c & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

// ECMA-262, Number::toString with radix 10 (RFC 8785, 3.2.2.3). to_chars gives the same shortest
// digits; only their layout differs.
void write_double(std::string& out, double value) {
  if (value == 0) {
    out += '0';  // −0 too
    return;
  }
  std::array<char, 40> buffer{};
  const auto written = std::to_chars(
      buffer.data(), buffer.data() + buffer.size(), std::fabs(value), std::chars_format::scientific
  );
  const std::string_view text(buffer.data(), static_cast<std::size_t>(written.ptr - buffer.data()));
  const auto e = text.find('e');
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  int exponent = 0;
  const char* const exponent_text = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(exponent_text, text.data() + text.size(), exponent);

  if (value < 0) out += '-';
  const int count = static_cast<int>(digits.size());
  const int point = exponent + 1;  // the standard's n: where the decimal point stands in the digits
  if (count <= point && point <= 21) {
    out += digits;
    out.append(static_cast<std::size_t>(point - count), '0');
  } else if (0 < point && point <= 21) {
    out += digits.substr(0, static_cast<std::size_t>(point));
    out += '.';
    out += digits.substr(static_cast<std::size_t>(point));
  } else if (-6 < point && point <= 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-point), '0');
    out += digits;
  } else {
    out += digits[0];
    if (count > 1) {
      out += '.';
      out += digits.substr(1);
    }
    out += exponent < 0 ? "e-" : "e+";
    out += std::to_string(std::abs(exponent));
  }
}

template <class Integer>
void write_integer(std::string& out, Integer value) {
  constexpr auto most = static_cast<Integer>(9007199254740991);
  bool exact = value <= most;
  if constexpr (std::is_signed_v<Integer>) exact = exact && value >= -most;
  if (exact) {
    out += std::to_string(value);
  } else {
    write_double(out, static_cast<double>(value));
  }
}

// UTF-16 puts the supplementary planes (UTF-8 lead bytes F0 … F4, surrogates D800 …) before U+E000
// … U+FFFF (lead bytes EE, EF); otherwise the orders of UTF-8 and UTF-16 agree.
std::uint8_t utf16_rank(char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  if (byte == 0xee || byte == 0xef) return static_cast<std::uint8_t>(byte + 0x10);
  return byte;
}

bool utf16_less(std::string_view a, std::string_view b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return utf16_rank(x) < utf16_rank(y);
  });
}

void write(std::string& out, const Json& value) {
  switch (value.type()) {
    case Json::value_t::object: {
      std::vector<const Json::object_t::value_type*> members;
      members.reserve(value.size());
      for (const auto& member : value.get_ref<const Json::object_t&>()) members.push_back(&member);
      std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) {
        return utf16_less(a->first, b->first);
      });
      out += '{';
      for (const auto* member : members) {
        if (member != members.front()) out += ',';
        write_string(out, member->first);
        out += ':';
        write(out, member->second);
      }
      out += '}';
      break;
    }
    case Json::value_t::array: {
      out += '[';
      bool first = true;
      for (const auto& element : value) {
        if (!first) out += ',';
        first = false;
        write(out, element);
      }
      out += ']';
      break;
    }
    case Json::value_t::string:
      write_string(out, value.get_ref<const std::string&>());
      break;
    case Json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      break;
    case Json::value_t::number_integer:
      write_integer(out, value.get<std::int64_t>());
      break;
    case Json::value_t::number_unsigned:
      write_integer(out, value.get<std::uint64_t>());
      break;
    case Json::value_t::number_float:
      write_double(out, value.get<double>());
      break;
    case Json::value_t::null:
    case Json::value_t::binary:
    case Json::value_t::discarded:
      out += "null";
      break;
  }
}

}  // namespace

std::string to_jcs(const Json& value) {
  std::string out;
  write(out, value);
  return out;
}

}  // namespace tally
