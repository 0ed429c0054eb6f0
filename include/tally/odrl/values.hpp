// Typed values and their comparison, exact and in three truth values (docs/odrl-profile.md,
// "Values"). Pure; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tally/core/instant.hpp"
#include "tally/odrl/terms.hpp"

namespace tally::odrl {

enum class Truth : std::uint8_t { no, unknown, yes };  // in Kleene's order
std::string_view to_string(Truth truth);               // "Unsatisfied", "Unknown", "Satisfied"

// A decimal of any length: no digit is lost and nothing is rounded.
struct Decimal {
  bool negative = false;
  std::uint32_t whole = 0;  // how many of `digits` stand before the point; no leading zeros
  std::string digits;       // no trailing zeros behind the point; empty is zero
  bool operator==(const Decimal&) const = default;
};
std::strong_ordering compare(const Decimal& a, const Decimal& b);
// xsd:decimal, or with `exponent` xsd:double without NaN and INF. nullopt: not one.
std::optional<Decimal> parse_decimal(std::string_view text, bool exponent = false);
Decimal decimal(std::int64_t number);
// The number if it has no fraction, cut to the range of 64 bits; nullopt: it has one.
std::optional<std::int64_t> integral(const Decimal& number);
std::string to_text(const Decimal& number);

// A date is the interval it covers; an instant is the interval of one nanosecond.
struct TimeSpan {
  Instant start;
  Instant end;  // exclusive
  bool operator==(const TimeSpan&) const = default;
};

struct Name {  // an IRI, or a word where the operand takes words
  std::string text;
  bool operator==(const Name&) const = default;
};
struct Text {
  std::string text;
  std::string language;  // lower case; empty: xsd:string
  bool operator==(const Text&) const = default;
};
struct Octets {  // xsd:hexBinary, base64Binary: two sorts that share no value
  std::string bytes;
  bool hex = false;
  bool operator==(const Octets&) const = default;
};
struct Rate {
  std::int64_t most = 0;
  XsdDuration window;
  bool operator==(const Rate&) const = default;
};
// xsd:time, on the time line of one day in UTC.
struct TimeOfDay {
  Nanos since_midnight = 0;
  bool operator==(const TimeOfDay&) const = default;
};
// Of a type that nobody here knows. Equal when written alike; otherwise nobody can tell.
struct Foreign {
  std::string text;
  std::string type;  // IRI
  bool operator==(const Foreign&) const = default;
};
struct Malformed {  // a value that is none: makes what looks at it unknown
  std::string text;
  bool operator==(const Malformed&) const = default;
};

using Value = std::variant<
    Malformed,
    Name,
    Text,
    bool,
    Decimal,
    TimeSpan,
    XsdDuration,
    Octets,
    Rate,
    TimeOfDay,
    Foreign>;

// As people read it: "2026-03-10T09:00:00Z", "P3M", "5.5", the IRI.
std::string to_text(const Value& value);

// `narrower` is below `broader`; transitive.
struct Broader {
  std::string narrower;
  std::string broader;
};
// `narrow` is `broad` or below it. A circle ends.
bool is_within(std::span<const Broader> steps, std::string_view narrow, std::string_view broad);

struct Compared {
  Truth truth = Truth::unknown;
  // "satisfied", "not-permitted-value", "ended", "not-yet", "type-mismatch", "incomparable",
  // "invalid-literal", "operator-mismatch"
  std::string_view because = "incomparable";
};

// One actual value against one right operand by eq, neq or an operator of order.
Compared compare_one(
    const OperandTerm& term,
    const Value& actual,
    Operator op,
    const Value& required,
    std::span<const Broader> taxonomy
);

// The actual values against the right operands (digest of ODRL's operators, with the quantifier of
// `term`). Nothing actual is unknown, "missing-value".
Compared compare(
    const OperandTerm& term,
    std::span<const Value> actual,
    Operator op,
    std::span<const Value> required,
    std::span<const Broader> taxonomy
);

}  // namespace tally::odrl
