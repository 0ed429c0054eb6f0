#include "tally/core/json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

namespace tally {
namespace {

constexpr std::int64_t most_exact = 9007199254740991;  // 2^53 − 1 (RFC 7493, 2.2)

// A decimal literal without its notation: value = 0.digits · 10^exponent. Zero has no digits.
struct Decimal {
  std::string digits;
  std::int64_t exponent = 0;
  bool operator==(const Decimal&) const = default;
};

std::optional<Decimal> decimal_of(std::string_view literal) {
  Decimal decimal;
  if (literal.starts_with('-')) literal.remove_prefix(1);
  const auto e = literal.find_first_of("eE");
  std::int64_t exponent = 0;
  if (e != std::string_view::npos) {
    std::string_view text = literal.substr(e + 1);
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exponent);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (exponent > 1'000'000'000 || exponent < -1'000'000'000) return std::nullopt;
    literal = literal.substr(0, e);
  }
  const auto point = literal.find('.');
  decimal.digits = literal.substr(0, point);
  decimal.exponent = exponent + static_cast<std::int64_t>(decimal.digits.size());
  if (point != std::string_view::npos) decimal.digits += literal.substr(point + 1);
  const auto first = decimal.digits.find_first_not_of('0');
  if (first == std::string::npos) return Decimal{};
  decimal.digits.erase(0, first);
  decimal.exponent -= static_cast<std::int64_t>(first);
  decimal.digits.erase(decimal.digits.find_last_not_of('0') + 1);
  return decimal;
}

// Whether the double says what the literal says: its shortest text is the same decimal number.
bool kept_exactly(double value, std::string_view literal) {
  if (!std::isfinite(value)) return false;
  std::array<char, 40> buffer{};
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  const auto shortest = decimal_of({buffer.data(), written.ptr});
  const auto given = decimal_of(literal);
  return shortest && given && *shortest == *given;
}

// Builds the value and stops at the first thing that I-JSON forbids, knowing where it stands.
class StrictHandler final : public nlohmann::json_sax<Json> {
 public:
  explicit StrictHandler(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(std::int64_t value) override {
    if (value < -most_exact || value > most_exact) return refuse_number(std::to_string(value));
    return put(value);
  }
  bool number_unsigned(std::uint64_t value) override {
    if (value > static_cast<std::uint64_t>(most_exact)) return refuse_number(std::to_string(value));
    return put(value);
  }
  bool number_float(double value, const std::string& literal) override {
    // An integer too large for 64 bits arrives here as well.
    const bool integer = literal.find_first_of(".eE") == std::string::npos;
    if (integer || !kept_exactly(value, literal)) return refuse_number(literal);
    return put(value);
  }
  bool string(std::string& value) override { return put(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    Level& level = levels_.back();
    if (level.container.contains(name)) {
      return refuse({"core.json-duplicate-key", {{"key", name}}}, child(pointer(), name));
    }
    level.key = std::move(name);
    level.has_key = true;
    return true;
  }
  bool parse_error(
      std::size_t position, const std::string& token, const nlohmann::detail::exception& error
  ) override {
    if (error.id == 406) return refuse_number(token);  // a literal beyond the range of double
    const std::string byte = std::to_string(position == 0 ? 0 : position - 1);
    const char* const code = complete_ ? "core.json-trailing" : "core.json-syntax";
    return refuse({code, {{"byte", byte}}}, complete_ ? "" : here());
  }

  Json take() { return std::move(root_); }
  std::optional<Error> take_error() { return std::move(error_); }

 private:
  struct Level {
    Json container;
    std::string key;
    bool has_key = false;
  };

  // The pointer of the innermost container that is open.
  [[nodiscard]] std::string pointer() const {
    std::string at;
    for (std::size_t i = 0; i + 1 < levels_.size(); ++i) at = step(at, levels_[i]);
    return at;
  }
  // The pointer of the value that is read now.
  [[nodiscard]] std::string here() const {
    if (levels_.empty()) return {};
    const Level& level = levels_.back();
    if (level.container.is_object() && !level.has_key) return pointer();
    return step(pointer(), level);
  }
  static std::string step(const std::string& at, const Level& level) {
    return level.container.is_array() ? child(at, level.container.size()) : child(at, level.key);
  }

  bool refuse(Message message, std::string at) {
    if (!error_) error_ = Error{ErrorKind::invalid, std::move(message), std::move(at)};
    return false;
  }
  bool refuse_number(std::string literal) {
    if (literal.size() > 64) literal = literal.substr(0, 61) + "...";
    return refuse({"core.json-number", {{"number", std::move(literal)}}}, here());
  }

  bool put(Json value) {
    if (levels_.empty()) {
      root_ = std::move(value);
      complete_ = true;
      return true;
    }
    Level& level = levels_.back();
    if (level.container.is_array()) {
      level.container.push_back(std::move(value));
    } else {
      level.container[std::move(level.key)] = std::move(value);
      level.key.clear();
      level.has_key = false;
    }
    return true;
  }
  bool open(Json container) {
    if (levels_.size() >= limits_.depth) {
      return refuse({"core.json-depth", {{"limit", std::to_string(limits_.depth)}}}, here());
    }
    levels_.push_back({std::move(container), {}, false});
    return true;
  }
  bool close() {
    Json container = std::move(levels_.back().container);
    levels_.pop_back();
    return put(std::move(container));
  }

  const JsonLimits& limits_;
  std::vector<Level> levels_;
  Json root_;
  bool complete_ = false;
  std::optional<Error> error_;
};

// Insertions, deletions, replacements and swaps of two neighbours, which is how people misspell.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before_last, last);
    std::swap(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
  }
  return row.back();
}

tl::unexpected<Error> wrong_type(const Json& value, std::string_view key, std::string_view at) {
  return fail(
      ErrorKind::invalid,
      {"core.member-type",
       {{"member", std::string(key)}, {"expected", "string"}, {"found", value.type_name()}}},
      child(at, key)
  );
}

}  // namespace

std::optional<std::size_t> broken_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const std::uint8_t lead = byte(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    std::size_t more = 0;
    std::uint8_t low = 0x80;
    std::uint8_t high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
      more = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2;
      if (lead == 0xe0) low = 0xa0;
      if (lead == 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3;
      if (lead == 0xf0) low = 0x90;
      if (lead == 0xf4) high = 0x8f;
    } else {
      return i;
    }
    if (i + more >= text.size()) return i;
    if (byte(i + 1) < low || byte(i + 1) > high) return i;
    for (std::size_t k = 2; k <= more; ++k) {
      if (byte(i + k) < 0x80 || byte(i + k) > 0xbf) return i;
    }
    i += more + 1;
  }
  return std::nullopt;
}

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    return fail(
        ErrorKind::invalid,
        {"core.json-size",
         {{"bytes", std::to_string(text.size())}, {"limit", std::to_string(limits.bytes)}}}
    );
  }
  // The library would skip a byte order mark; a signed text has none.
  const auto broken =
      text.starts_with("\xef\xbb\xbf") ? std::optional<std::size_t>(0) : broken_utf8(text);
  if (broken) {
    return fail(ErrorKind::invalid, {"core.json-utf8", {{"byte", std::to_string(*broken)}}});
  }
  // The library takes a NUL for the end and would leave what follows unread.
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    return fail(ErrorKind::invalid, {"core.json-syntax", {{"byte", std::to_string(nul)}}});
  }
  StrictHandler handler(limits);
  const bool read = Json::sax_parse(text.begin(), text.end(), &handler);
  if (auto error = handler.take_error()) return tl::unexpected<Error>(*std::move(error));
  if (!read) return fail(ErrorKind::invalid, {"core.json-syntax", {{"byte", "0"}}});
  return handler.take();
}

std::string child(std::string_view pointer, std::string_view key) {
  std::string out(pointer);
  out += '/';
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

std::string child(std::string_view pointer, std::size_t index) {
  return std::string(pointer) + "/" + std::to_string(index);
}

Result<std::string> string_member(const Json& object, std::string_view key, std::string_view at) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (found == object.end()) {
    return fail(
        ErrorKind::invalid, {"core.member-missing", {{"member", std::string(key)}}}, child(at, key)
    );
  }
  if (!found->is_string()) return wrong_type(*found, key, at);
  return found->get<std::string>();
}

Result<std::string> string_member_or(
    const Json& object, std::string_view key, std::string fallback, std::string_view at
) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (found == object.end()) return fallback;
  if (!found->is_string()) return wrong_type(*found, key, at);
  return found->get<std::string>();
}

std::string closest_term(std::string_view word, const std::vector<std::string_view>& known) {
  std::string_view best;
  std::size_t best_distance = word.size() / 3 + 1;
  for (const std::string_view term : known) {
    const std::size_t longer = std::max(word.size(), term.size());
    if (longer - std::min(word.size(), term.size()) >= best_distance) continue;
    const std::size_t distance = edit_distance(word, term);
    if (distance < best_distance) {
      best = term;
      best_distance = distance;
    }
  }
  return std::string(best);
}

}  // namespace tally
