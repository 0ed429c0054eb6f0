#include "flat_object.hpp"

#include <algorithm>

#include "utf8.hpp"

namespace tally::dataplane {

namespace {

constexpr std::string_view blanks = " \t\r\n";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

FlatObject::FlatObject(const catalog::Schema& schema)
    : schema_(schema), seen_(schema.columns.size()) {
  for (std::size_t i = 0; i < schema.columns.size(); ++i) {
    places_.emplace(schema.columns[i].name, i);
  }
}

std::optional<Message> FlatObject::read(std::string_view text, Record& out) {
  rest_ = text;
  out.resize(schema_.columns.size());
  for (auto& cell : out) {
    cell.kind = CellKind::absent;
    cell.text.clear();
  }
  seen_.assign(seen_.size(), false);
  skip_blanks();
  if (!take('{')) return Message{"dataplane.json-malformed", {}};
  if (auto fault = read_members(out)) return fault;
  skip_blanks();
  if (!rest_.empty()) return Message{"dataplane.json-malformed", {}};
  return std::nullopt;
}

// What follows the opening brace, with the closing one.
std::optional<Message> FlatObject::read_members(Record& out) {
  const Message malformed{"dataplane.json-malformed", {}};
  skip_blanks();
  if (take('}')) return std::nullopt;
  for (;;) {
    skip_blanks();
    if (!read_string(name_)) return malformed;
    skip_blanks();
    if (!take(':')) return malformed;
    skip_blanks();
    // The name of what the schema does not have may itself be data.
    const auto place = places_.find(name_);
    if (place == places_.end()) return Message{"dataplane.json-unknown-member", {}};
    if (seen_[place->second]) return named("dataplane.json-twice", place->second);
    seen_[place->second] = true;
    if (auto fault = read_value(out[place->second], place->second)) return fault;
    skip_blanks();
    if (take('}')) return std::nullopt;
    if (!take(',')) return malformed;
  }
}

std::optional<Message> FlatObject::read_value(Cell& out, std::size_t column) {
  const char c = rest_.empty() ? '\0' : rest_.front();
  bool good = false;
  if (c == '{' || c == '[') return named("dataplane.json-nested", column);
  if (c == '"') {
    out.kind = CellKind::text;
    good = read_string(out.text);
  } else if (c == '-' || is_digit(c)) {
    out.kind = CellKind::number;
    good = read_number(out.text);
  } else if (take("null")) {
    good = true;
  } else {
    out.kind = CellKind::boolean;
    out.text = c == 't' ? "true" : "false";
    good = take(out.text);
  }
  if (!good) return Message{"dataplane.json-malformed", {}};
  return std::nullopt;
}

bool FlatObject::read_string(std::string& out) {
  out.clear();
  if (!take('"')) return false;
  while (!rest_.empty()) {
    const auto run = std::ranges::find_if(rest_, [](char c) {
      return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
    });
    const auto size = static_cast<std::size_t>(run - rest_.begin());
    out += rest_.substr(0, size);
    rest_.remove_prefix(size);
    if (take('"')) return true;
    if (!take('\\') || !read_escape(out)) return false;  // or a control character
  }
  return false;
}

bool FlatObject::read_escape(std::string& out) {
  static constexpr std::string_view letters = "\"\\/bfnrt";
  static constexpr std::string_view meant = "\"\\/\b\f\n\r\t";
  if (rest_.empty()) return false;
  if (const auto found = letters.find(rest_.front()); found != std::string_view::npos) {
    out += meant[found];
    rest_.remove_prefix(1);
    return true;
  }
  std::uint32_t value = 0;
  if (!take('u') || !read_hex(value)) return false;
  if (value >= 0xDC00 && value < 0xE000) return false;
  if (value >= 0xD800 && value < 0xDC00) {
    std::uint32_t low = 0;
    if (!take("\\u") || !read_hex(low) || low < 0xDC00 || low >= 0xE000) return false;
    value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(out, value);
  return true;
}

bool FlatObject::read_hex(std::uint32_t& out) {
  if (rest_.size() < 4) return false;
  out = 0;
  for (const char c : rest_.substr(0, 4)) {
    const char lower = static_cast<char>(c | 0x20);
    const bool letter = lower >= 'a' && lower <= 'f';
    if (!is_digit(c) && !letter) return false;
    out = (out << 4) | static_cast<std::uint32_t>(letter ? lower - 'a' + 10 : c - '0');
  }
  rest_.remove_prefix(4);
  return true;
}

bool FlatObject::read_number(std::string& out) {
  const std::string_view all = rest_;
  const auto digits = [&] {
    const std::size_t before = rest_.size();
    while (!rest_.empty() && is_digit(rest_.front())) rest_.remove_prefix(1);
    return before - rest_.size();
  };
  take('-');
  const bool zero = rest_.starts_with('0');
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (take('.') && digits() == 0) return false;
  if (take('e') || take('E')) {
    if (!take('-')) take('+');
    if (digits() == 0) return false;
  }
  out = all.substr(0, all.size() - rest_.size());
  return true;
}

void FlatObject::skip_blanks() {
  rest_.remove_prefix(std::min(rest_.find_first_not_of(blanks), rest_.size()));
}

bool FlatObject::take(char c) {
  if (!rest_.starts_with(c)) return false;
  rest_.remove_prefix(1);
  return true;
}

bool FlatObject::take(std::string_view word) {
  if (!rest_.starts_with(word)) return false;
  rest_.remove_prefix(word.size());
  return true;
}

Message FlatObject::named(const char* code, std::size_t column) const {
  return {code, {{"column", schema_.columns[column].name}}};
}

}  // namespace tally::dataplane
