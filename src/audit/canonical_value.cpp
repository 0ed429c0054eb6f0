#include "tally/audit/canonical_value.hpp"

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally::audit {
namespace {

// Behind the quote that ends the string whose first character stands at `begin`.
std::size_t skip_string(std::string_view text, std::size_t begin) {
  for (std::size_t from = begin;;) {
    const std::size_t quote = text.find('"', from);
    if (quote == std::string_view::npos) return text.size();
    std::size_t escapes = 0;
    while (quote - escapes > begin && text[quote - escapes - 1] == '\\') ++escapes;
    if (escapes % 2 == 0) return quote + 1;
    from = quote + 1;
  }
}

// Past a value.
std::size_t skip_value(std::string_view text, std::size_t at) {
  int depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = skip_string(text, at + 1);
      if (depth == 0) return at;
      continue;
    }
    if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    } else if (c == ',' && depth == 0) {
      return at;
    }
    ++at;
  }
  return at;
}

}  // namespace

std::string_view plain_content(std::string_view value) {
  if (value.size() < 2 || value.front() != '"') return {};
  const std::string_view inner = value.substr(1, value.size() - 2);
  return inner.find('\\') == std::string_view::npos ? inner : std::string_view{};
}

void find_members(
    std::string_view object,
    std::span<const std::string_view> keys,
    std::span<std::string_view> values
) {
  std::size_t next = 0;  // of those asked for
  std::size_t at = 1;
  while (at < object.size() && object[at] == '"') {
    const std::size_t key_end = object.find('"', at + 1);
    if (key_end == std::string_view::npos) return;
    const std::string_view name = object.substr(at + 1, key_end - at - 1);
    while (keys[next] < name) {
      if (++next == keys.size()) return;
    }
    const std::size_t start = key_end + 2;
    if (start > object.size()) return;
    const std::size_t end = skip_value(object, start);
    if (keys[next] == name) {
      values[next] = object.substr(start, end - start);
      if (++next == keys.size()) return;
    }
    at = end + 1;
  }
}

std::string_view find_member(std::string_view object, std::string_view key) {
  std::string_view value;
  find_members(object, {&key, 1}, {&value, 1});
  return value;
}

ArrayValues::ArrayValues(std::string_view array) : rest_(array) {
  if (rest_.size() < 2) return;
  rest_.remove_prefix(1);
  rest_.remove_suffix(1);
}

std::optional<std::string_view> ArrayValues::next() {
  if (rest_.empty()) return std::nullopt;
  const std::string_view value = rest_.substr(0, skip_value(rest_, 0));
  rest_.remove_prefix(std::min(rest_.size(), value.size() + 1));  // and the comma
  return value;
}

std::string unquote(std::string_view value) {
  if (value.size() < 2 || value.front() != '"') return {};
  const std::string_view inner = value.substr(1, value.size() - 2);
  if (inner.find('\\') == std::string_view::npos) return std::string(inner);
  const Json parsed = Json::parse(value, nullptr, false);
  return parsed.is_string() ? parsed.get<std::string>() : std::string();
}

std::optional<std::int64_t> integer_of(std::string_view value) {
  std::int64_t number = 0;
  const char* const behind = value.data() + value.size();
  const auto [end, error] = std::from_chars(value.data(), behind, number);
  if (value.empty() || error != std::errc() || end != behind) return std::nullopt;
  return number;
}

}  // namespace tally::audit
