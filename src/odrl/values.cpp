#include "tally/odrl/values.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include <arpa/inet.h>

namespace tally::odrl {
namespace {

constexpr Compared yes{Truth::yes, "satisfied"};
constexpr Compared unknown(std::string_view because) {
  return {Truth::unknown, because};
}
constexpr Compared known(bool truth, std::string_view failure = "not-permitted-value") {
  return truth ? yes : Compared{Truth::no, failure};
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool all_digits(std::string_view text) {
  return std::ranges::all_of(text, is_digit);
}

// Magnitudes only.
std::strong_ordering compare_digits(const Decimal& a, const Decimal& b) {
  if (a.whole != b.whole) return a.whole <=> b.whole;
  return std::string_view(a.digits) <=> std::string_view(b.digits);
}

Compared by_order(std::strong_ordering order, Operator op) {
  switch (op) {
    case Operator::eq:
      return known(std::is_eq(order));
    case Operator::neq:
      return known(!std::is_eq(order));
    case Operator::lt:
      return known(std::is_lt(order), "ended");
    case Operator::lteq:
      return known(std::is_lteq(order), "ended");
    case Operator::gt:
      return known(std::is_gt(order), "not-yet");
    case Operator::gteq:
      return known(std::is_gteq(order), "not-yet");
    default:
      return unknown("operator-mismatch");
  }
}

Compared by_order_of_numbers(std::strong_ordering order, Operator op) {
  auto out = by_order(order, op);
  if (out.truth == Truth::no) out.because = "not-permitted-value";
  return out;
}

// Two intervals: decided only where every pair of their instants would agree.
Compared compare_times(const TimeSpan& actual, const TimeSpan& required, Operator op) {
  const auto decide = [](bool holds, bool fails, std::string_view failure) {
    if (holds) return yes;
    return fails ? Compared{Truth::no, failure} : unknown("incomparable");
  };
  const bool ended = actual.start >= required.end;
  const bool not_yet = actual.end <= required.start;
  const bool inside = actual.start >= required.start && actual.end <= required.end;
  switch (op) {
    case Operator::lt:
      return decide(not_yet, actual.start >= required.start, "ended");
    case Operator::lteq:
      return decide(actual.end <= required.end, ended, "ended");
    case Operator::gt:
      return decide(ended, actual.end <= required.end, "not-yet");
    case Operator::gteq:
      return decide(actual.start >= required.start, not_yet, "not-yet");
    case Operator::eq:
      return decide(inside, ended || not_yet, ended ? "ended" : "not-yet");
    case Operator::neq:
      return decide(ended || not_yet, inside, "not-permitted-value");
    default:
      return unknown("operator-mismatch");
  }
}

// One of a strict order along the taxonomy: narrower is higher.
Compared compare_levels(
    const Name& actual, const Name& required, Operator op, std::span<const Broader> taxonomy
) {
  const bool up = is_within(taxonomy, actual.text, required.text);
  const bool down = is_within(taxonomy, required.text, actual.text);
  if (!up && !down) return unknown("incomparable");
  return by_order_of_numbers(
      up && down ? std::strong_ordering::equal
      : up       ? std::strong_ordering::greater
                 : std::strong_ordering::less,
      op
  );
}

Compared equality(bool equal, Operator op) {
  if (op == Operator::eq) return known(equal);
  if (op == Operator::neq) return known(!equal);
  return unknown("operator-mismatch");
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// zh-Hans is within zh (RFC 4647, basic filtering).
bool language_within(std::string_view narrow, std::string_view broad) {
  const auto a = lower(narrow);
  const auto b = lower(broad);
  return a == b || (a.size() > b.size() && a.starts_with(b) && a[b.size()] == '-');
}

// A range of addresses of IPv4 or IPv6: "192.0.2.0/24", "2001:db8::1". Others are names.
struct Network {
  std::array<std::uint8_t, 16> bytes{};
  unsigned size = 0;  // of the address, in bits
  unsigned bits = 0;  // of them that are fixed
};
std::optional<Network> parse_network(std::string_view text) {
  Network out;
  const auto slash = text.find('/');
  const std::string address(text.substr(0, slash));
  if (inet_pton(AF_INET, address.c_str(), out.bytes.data()) == 1) {
    out.size = 32;
  } else if (inet_pton(AF_INET6, address.c_str(), out.bytes.data()) == 1) {
    out.size = 128;
  } else {
    return std::nullopt;
  }
  out.bits = out.size;
  if (slash == std::string_view::npos) return out;
  const auto length = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), out.bits);
  if (error != std::errc() || end != length.data() + length.size() || out.bits > out.size) {
    return std::nullopt;
  }
  return out;
}

bool network_within(std::string_view narrow, std::string_view broad) {
  if (narrow == broad) return true;
  const auto a = parse_network(narrow);
  const auto b = parse_network(broad);
  if (!a || !b) {
    // A domain holds the names below it.
    return !a && !b && narrow.size() > broad.size() && narrow.ends_with(broad) &&
           narrow[narrow.size() - broad.size() - 1] == '.';
  }
  if (a->size != b->size || a->bits < b->bits) return false;
  for (unsigned bit = 0; bit < b->bits; ++bit) {
    const auto mask = 128U >> (bit % 8);
    if ((a->bytes[bit / 8] & mask) != (b->bytes[bit / 8] & mask)) return false;
  }
  return true;
}

// A range stands for every address in it. An address and a name cannot be told apart or together.
Compared compare_networks(const std::string& actual, const std::string& required, Operator op) {
  if (network_within(actual, required)) return equality(true, op);
  if (network_within(required, actual)) return unknown("incomparable");
  if (parse_network(actual).has_value() != parse_network(required).has_value()) {
    return unknown("incomparable");
  }
  return equality(false, op);
}

// eq, for lists. Unknown when the two cannot be compared.
Compared same(const OperandTerm& term, const Value& actual, const Value& required) {
  return compare_one(term, actual, Operator::eq, required, {});
}

std::string_view name_of(const Value& value) {
  if (const auto* name = std::get_if<Name>(&value)) return name->text;
  return {};
}

// Is `actual` the required thing or below it?
Compared within(
    const OperandTerm& term,
    const Value& actual,
    const Value& required,
    std::span<const Broader> taxonomy
) {
  const auto narrow = name_of(actual);
  const auto broad = name_of(required);
  if (narrow.empty() || broad.empty()) {
    return unknown(std::holds_alternative<Malformed>(actual) ? "invalid-literal" : "type-mismatch");
  }
  if (term.kind == ValueKind::language && language_within(narrow, broad)) return yes;
  if (term.kind == ValueKind::network && network_within(narrow, broad)) return yes;
  return known(is_within(taxonomy, narrow, broad));
}

// Kleene's or, and its reason: what would have decided it.
void add_any(Compared& so_far, const Compared& one) {
  if (one.truth > so_far.truth) so_far = one;
}
void add_all(Compared& so_far, const Compared& one) {
  if (one.truth < so_far.truth) so_far = one;
}

Compared any_required(
    const OperandTerm& term,
    const Value& actual,
    Operator op,
    std::span<const Value> required,
    std::span<const Broader> taxonomy
) {
  Compared out{Truth::no, "not-permitted-value"};
  for (const auto& one : required) {
    if (op == Operator::is_a || op == Operator::is_part_of) {
      add_any(out, within(term, actual, one, taxonomy));
    } else {
      add_any(out, same(term, actual, one));
    }
  }
  return out;
}

Compared negated(Compared one) {
  if (one.truth == Truth::yes) return {Truth::no, "not-permitted-value"};
  return one.truth == Truth::no ? yes : one;
}

// One actual value against all the required ones.
Compared of_one(
    const OperandTerm& term,
    const Value& actual,
    Operator op,
    std::span<const Value> required,
    std::span<const Broader> taxonomy
) {
  switch (op) {
    case Operator::is_any_of:
    case Operator::is_a:
    case Operator::is_part_of:
      return any_required(term, actual, op, required, taxonomy);
    case Operator::is_none_of:
      return negated(any_required(term, actual, Operator::is_any_of, required, taxonomy));
    case Operator::has_part: {
      Compared out = yes;
      for (const auto& one : required) add_all(out, within(term, one, actual, taxonomy));
      return out;
    }
    default:
      return compare_one(term, actual, op, required.front(), taxonomy);
  }
}

}  // namespace

std::string_view to_string(Truth truth) {
  constexpr auto words = std::to_array<std::string_view>({"Unsatisfied", "Unknown", "Satisfied"});
  return words[static_cast<std::size_t>(truth)];
}

std::strong_ordering compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) {
    return a.negative ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  return a.negative ? compare_digits(b, a) : compare_digits(a, b);
}

std::optional<Decimal> parse_decimal(std::string_view text, bool exponent) {
  Decimal out;
  bool negative = false;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  int shift = 0;
  if (const auto e = text.find_first_of("eE"); exponent && e != std::string_view::npos) {
    auto power = text.substr(e + 1);
    if (power.starts_with('+')) power.remove_prefix(1);
    const auto [end, error] = std::from_chars(power.data(), power.data() + power.size(), shift);
    // Beyond what a double holds there is no number to speak of, only a long row of zeros.
    if (error != std::errc() || end != power.data() + power.size() || shift > 400 || shift < -400) {
      return std::nullopt;
    }
    text = text.substr(0, e);
  }
  const auto dot = text.find('.');
  const auto whole = text.substr(0, dot);
  const auto part = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
  if ((whole.empty() && part.empty()) || !all_digits(whole) || !all_digits(part)) {
    return std::nullopt;
  }
  std::string digits(whole);
  digits += part;
  auto point = static_cast<std::int64_t>(whole.size()) + shift;
  if (point < 0) {
    digits.insert(0, static_cast<std::size_t>(-point), '0');
    point = 0;
  }
  if (point > static_cast<std::int64_t>(digits.size())) {
    digits.append(static_cast<std::size_t>(point) - digits.size(), '0');
  }
  const auto zeros = std::min(digits.find_first_not_of('0'), static_cast<std::size_t>(point));
  digits.erase(0, zeros);
  out.whole = static_cast<std::uint32_t>(static_cast<std::size_t>(point) - zeros);
  while (digits.size() > out.whole && digits.back() == '0') digits.pop_back();
  out.negative = negative && !digits.empty();
  out.digits = std::move(digits);
  return out;
}

Decimal decimal(std::int64_t number) {
  return *parse_decimal(std::to_string(number));
}

std::optional<std::int64_t> integral(const Decimal& number) {
  if (number.digits.size() > number.whole) return std::nullopt;
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  std::int64_t out = 0;
  for (const char c : number.digits) {
    const int digit = c - '0';
    if (out > (most - digit) / 10) {
      out = most;
      break;
    }
    out = out * 10 + digit;
  }
  return number.negative ? -out : out;
}

std::string to_text(const Decimal& number) {
  std::string out = number.negative ? "-" : "";
  out += number.whole == 0 ? "0" : number.digits.substr(0, number.whole);
  if (number.digits.size() > number.whole) out += "." + number.digits.substr(number.whole);
  return out;
}

std::string to_text(const Value& value) {
  struct Writer {
    std::string operator()(const Malformed& one) const { return one.text; }
    std::string operator()(const Name& one) const { return one.text; }
    std::string operator()(const Text& one) const {
      return one.language.empty() ? one.text : one.text + "@" + one.language;
    }
    std::string operator()(bool one) const { return one ? "true" : "false"; }
    std::string operator()(const Decimal& one) const { return to_text(one); }
    std::string operator()(const TimeSpan& one) const {
      if (one.end - one.start > 1) {
        return format_seconds(one.start).substr(0, 10) + "/" + format_seconds(one.end);
      }
      return one.start.nanos == 0 ? format_seconds(one.start) : format_micros(one.start);
    }
    std::string operator()(const XsdDuration& one) const { return format_duration(one); }
    std::string operator()(const Octets& one) const {
      return std::to_string(one.bytes.size()) + " B";
    }
    std::string operator()(const TimeOfDay& one) const {
      const auto at = Instant{86400, 0} + one.since_midnight;
      return (at.nanos == 0 ? format_seconds(at) : format_micros(at)).substr(11);
    }
    std::string operator()(const Foreign& one) const { return one.text; }
    std::string operator()(const Rate& one) const {
      return std::to_string(one.most) + "/" + format_duration(one.window);
    }
  };
  return std::visit(Writer{}, value);
}

bool is_within(std::span<const Broader> steps, std::string_view narrow, std::string_view broad) {
  if (narrow == broad) return true;
  // Each round goes one step up from everything reached; a circle adds nothing new and ends.
  std::vector<std::string_view> reached{narrow};
  for (std::size_t i = 0; i < reached.size(); ++i) {
    for (const auto& step : steps) {
      if (step.narrower != reached[i]) continue;
      if (step.broader == broad) return true;
      if (std::ranges::find(reached, step.broader) == reached.end()) {
        reached.push_back(step.broader);
      }
    }
  }
  return false;
}

Compared compare_one(
    const OperandTerm& term,
    const Value& actual,
    Operator op,
    const Value& required,
    std::span<const Broader> taxonomy
) {
  if (std::holds_alternative<Malformed>(actual) || std::holds_alternative<Malformed>(required)) {
    return unknown("invalid-literal");
  }
  if (term.kind == ValueKind::no_compare) return unknown("incomparable");
  if (actual.index() != required.index()) return unknown("type-mismatch");
  if (const auto* a = std::get_if<Decimal>(&actual)) {
    return by_order_of_numbers(compare(*a, std::get<Decimal>(required)), op);
  }
  if (const auto* a = std::get_if<TimeSpan>(&actual)) {
    return compare_times(*a, std::get<TimeSpan>(required), op);
  }
  if (const auto* a = std::get_if<XsdDuration>(&actual)) {
    const auto order = compare(*a, std::get<XsdDuration>(required));
    return order ? by_order(*order, op) : unknown("incomparable");
  }
  if (const auto* a = std::get_if<Name>(&actual)) {
    const auto& b = std::get<Name>(required);
    if (term.kind == ValueKind::language) return equality(lower(a->text) == lower(b.text), op);
    if (term.kind == ValueKind::network) return compare_networks(a->text, b.text, op);
    if (orders(op) && term.ordered) return compare_levels(*a, b, op, taxonomy);
    return equality(a->text == b.text, op);
  }
  if (const auto* a = std::get_if<Text>(&actual)) {
    const auto& b = std::get<Text>(required);
    // With and without a language are two sorts (rdf:langString, xsd:string).
    if (a->language.empty() != b.language.empty()) return unknown("type-mismatch");
    if (a->language.empty() && orders(op)) return by_order_of_numbers(a->text <=> b.text, op);
    return equality(*a == b, op);
  }
  if (const auto* a = std::get_if<TimeOfDay>(&actual)) {
    return by_order_of_numbers(
        a->since_midnight <=> std::get<TimeOfDay>(required).since_midnight, op
    );
  }
  if (const auto* a = std::get_if<Octets>(&actual)) {
    if (a->hex != std::get<Octets>(required).hex) return unknown("type-mismatch");
  }
  if (std::holds_alternative<Foreign>(actual) && actual != required) {
    return unknown("incomparable");
  }
  return equality(actual == required, op);
}

Compared compare(
    const OperandTerm& term,
    std::span<const Value> actual,
    Operator op,
    std::span<const Value> required,
    std::span<const Broader> taxonomy
) {
  if (actual.empty() || required.empty()) return unknown("missing-value");
  if (op == Operator::is_all_of) {
    Compared out = yes;
    for (const auto& wanted : required) {
      Compared found{Truth::no, "not-permitted-value"};
      for (const auto& one : actual) add_any(found, same(term, one, wanted));
      add_all(out, found);
    }
    return out;
  }
  const bool every = term.every_value || op == Operator::is_none_of || op == Operator::neq;
  Compared out = every ? yes : Compared{Truth::no, "not-permitted-value"};
  for (const auto& one : actual) {
    const auto next = of_one(term, one, op, required, taxonomy);
    if (every) {
      add_all(out, next);
    } else {
      add_any(out, next);
    }
  }
  return out;
}

}  // namespace tally::odrl
