#include "structured_field.hpp"

#include <algorithm>

namespace tally::identity {

namespace {

constexpr std::size_t most_bytes = 16 << 10;
constexpr std::size_t most_members = 16;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_alpha(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}
bool is_token_char(char c) {
  return is_alpha(c) || is_digit(c) ||
         std::string_view("!#$%&'*+-.^_`|~:/").find(c) != std::string_view::npos;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] char peek() const { return rest_.empty() ? '\0' : rest_.front(); }

  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void skip_spaces() {
    while (take(' ')) {
    }
  }
  void skip_optional_whitespace() {
    while (take(' ') || take('\t')) {
    }
  }

  std::optional<std::string> key() {
    if (!is_lower(peek()) && peek() != '*') return std::nullopt;
    return take_while([](char c) {
      return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
    });
  }

  std::optional<SfValue> bare_item() {
    const char first = peek();
    if (first == '-' || is_digit(first)) return integer();
    if (first == '"') return string();
    if (first == ':') return bytes();
    if (first == '?') return boolean();
    if (is_alpha(first) || first == '*') return SfValue(SfToken{take_while(is_token_char)});
    return std::nullopt;
  }

  std::optional<SfParams> params() {
    SfParams found;
    while (take(';')) {
      skip_spaces();
      auto name = key();
      if (!name || found.size() == most_members) return std::nullopt;
      for (const auto& [other, value] : found) {
        if (other == *name) return std::nullopt;
      }
      SfValue value = true;
      if (take('=')) {
        auto given = bare_item();
        if (!given) return std::nullopt;
        value = std::move(*given);
      }
      found.emplace_back(std::move(*name), std::move(value));
    }
    return found;
  }

  std::optional<SfItem> item() {
    auto value = bare_item();
    if (!value) return std::nullopt;
    auto found = params();
    if (!found) return std::nullopt;
    return SfItem{std::move(*value), std::move(*found)};
  }

  std::optional<SfInnerList> inner_list() {
    if (!take('(')) return std::nullopt;
    SfInnerList list;
    for (;;) {
      skip_spaces();
      if (take(')')) break;
      auto next = item();
      if (!next || list.items.size() == most_members) return std::nullopt;
      list.items.push_back(std::move(*next));
      if (peek() != ' ' && peek() != ')') return std::nullopt;
    }
    auto found = params();
    if (!found) return std::nullopt;
    list.params = std::move(*found);
    return list;
  }

  // After a member: true at a clean end, false if there is one more, nullopt on anything else.
  std::optional<bool> ended() {
    skip_optional_whitespace();
    if (at_end()) return true;
    if (!take(',')) return std::nullopt;
    skip_optional_whitespace();
    if (at_end()) return std::nullopt;  // a comma and nothing behind it
    return false;
  }

 private:
  template <class Predicate>
  std::string take_while(Predicate predicate) {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), predicate);
    std::string taken(rest_.begin(), end);
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::optional<SfValue> integer() {
    const bool negative = take('-');
    const std::string digits = take_while(is_digit);
    if (digits.empty() || digits.size() > 15 || peek() == '.') return std::nullopt;
    const std::int64_t value = std::stoll(digits);
    return SfValue(negative ? -value : value);
  }

  std::optional<SfValue> string() {
    take('"');
    std::string text;
    while (!at_end()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return SfValue(std::move(text));
      if (c == '\\') {
        c = peek();
        if (c != '"' && c != '\\') return std::nullopt;
        rest_.remove_prefix(1);
      } else if (c < 0x20 || c > 0x7e) {
        return std::nullopt;
      }
      text += c;
    }
    return std::nullopt;
  }

  std::optional<SfValue> bytes() {
    take(':');
    const std::string text = take_while([](char c) { return c != ':'; });
    if (!take(':')) return std::nullopt;
    auto decoded = from_base64(text);
    if (!decoded) return std::nullopt;
    return SfValue(std::move(*decoded));
  }

  std::optional<SfValue> boolean() {
    take('?');
    if (take('1')) return SfValue(true);
    if (take('0')) return SfValue(false);
    return std::nullopt;
  }

  std::string_view rest_;
};

std::optional<Reader> reader_of(std::string_view text) {
  if (text.size() > most_bytes) return std::nullopt;
  Reader reader(text);
  reader.skip_spaces();
  return reader;
}

std::string serialise_params(const SfParams& params) {
  std::string text;
  for (const auto& [name, value] : params) {
    text += ";" + name;
    if (const bool* flag = std::get_if<bool>(&value); flag != nullptr && *flag) continue;
    text += "=" + serialise(value);
  }
  return text;
}

}  // namespace

std::optional<SfDictionary> parse_dictionary(std::string_view text) {
  auto reader = reader_of(text);
  if (!reader || reader->at_end()) return std::nullopt;
  SfDictionary dictionary;
  for (;;) {
    auto name = reader->key();
    if (!name || dictionary.size() == most_members) return std::nullopt;
    for (const auto& [other, member] : dictionary) {
      if (other == *name) return std::nullopt;
    }
    if (!reader->take('=')) return std::nullopt;  // flags have no use here
    if (reader->peek() == '(') {
      auto list = reader->inner_list();
      if (!list) return std::nullopt;
      dictionary.emplace_back(std::move(*name), std::move(*list));
    } else {
      auto item = reader->item();
      if (!item) return std::nullopt;
      dictionary.emplace_back(std::move(*name), std::move(*item));
    }
    const auto ended = reader->ended();
    if (!ended) return std::nullopt;
    if (*ended) return dictionary;
  }
}

std::optional<std::vector<SfItem>> parse_list(std::string_view text) {
  auto reader = reader_of(text);
  if (!reader || reader->at_end()) return std::nullopt;
  std::vector<SfItem> items;
  for (;;) {
    auto item = reader->item();
    if (!item || items.size() == most_members) return std::nullopt;
    items.push_back(std::move(*item));
    const auto ended = reader->ended();
    if (!ended) return std::nullopt;
    if (*ended) return items;
  }
}

std::optional<SfItem> parse_item(std::string_view text) {
  auto reader = reader_of(text);
  if (!reader) return std::nullopt;
  auto item = reader->item();
  if (!item) return std::nullopt;
  reader->skip_spaces();
  if (!reader->at_end()) return std::nullopt;
  return item;
}

std::string serialise(const SfValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* token = std::get_if<SfToken>(&value)) return token->text;
  if (const auto* bytes = std::get_if<Bytes>(&value)) return ":" + to_base64(*bytes) + ":";
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "?1" : "?0";
  std::string text = "\"";
  for (const char c : std::get<std::string>(value)) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

std::string serialise(const SfInnerList& list) {
  std::string text = "(";
  for (const SfItem& item : list.items) {
    if (text.size() > 1) text += ' ';
    text += serialise(item.value) + serialise_params(item.params);
  }
  return text + ")" + serialise_params(list.params);
}

}  // namespace tally::identity
