#include "tally/core/trace.hpp"

#include <algorithm>
#include <span>

#include "tally/core/digest.hpp"

namespace tally {

namespace {

// version "-" trace "-" span "-" flags, in hex digits.
constexpr std::size_t version_at = 0;
constexpr std::size_t trace_at = 3;
constexpr std::size_t span_at = 36;
constexpr std::size_t flags_at = 53;
constexpr std::size_t length = 55;

std::optional<std::uint8_t> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  return std::nullopt;  // capitals are not allowed
}

// Two digits for each of `out`. False: they are none.
bool read_hex(std::string_view text, std::span<std::uint8_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto high = hex_digit(text[2 * i]);
    const auto low = hex_digit(text[2 * i + 1]);
    if (!high || !low) return false;
    out[i] = static_cast<std::uint8_t>(*high << 4 | *low);
  }
  return true;
}

bool is_zero(std::span<const std::uint8_t> bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view text) {
  if (text.size() < length) return std::nullopt;
  for (const std::size_t dash : {trace_at - 1, span_at - 1, flags_at - 1}) {
    if (text[dash] != '-') return std::nullopt;
  }
  std::array<std::uint8_t, 1> version{};
  std::array<std::uint8_t, 1> flags{};
  TraceContext out;
  if (!read_hex(text.substr(version_at), version) || !read_hex(text.substr(trace_at), out.trace) ||
      !read_hex(text.substr(span_at), out.span) || !read_hex(text.substr(flags_at), flags)) {
    return std::nullopt;
  }
  const bool fits =
      version[0] == 0 ? text.size() == length : text.size() == length || text[length] == '-';
  if (version[0] == 0xff || !fits || is_zero(out.trace) || is_zero(out.span)) return std::nullopt;
  out.sampled = (flags[0] & 1U) != 0;
  return out;
}

std::string to_traceparent(const TraceContext& context) {
  return "00-" + to_hex(context.trace) + "-" + to_hex(context.span) +
         (context.sampled ? "-01" : "-00");
}

}  // namespace tally
