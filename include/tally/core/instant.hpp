// Time as policies and records know it: instants on the UTC line and XSD durations. Pure; the
// current instant comes from a Clock (core/clock.hpp).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tally {

// A point on the UTC line, in seconds and nanoseconds since 1970-01-01T00:00:00Z. Years beyond four
// digits fit, as xsd:dateTime allows them.
struct Instant {
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;  // 0 … 999,999,999
  auto operator<=>(const Instant&) const = default;
};

// A span of real time in nanoseconds, for timers and guards.
using Nanos = std::int64_t;
constexpr Nanos nanos_per_second = 1'000'000'000;
constexpr Nanos milliseconds(std::int64_t n) {
  return n * 1'000'000;
}
constexpr Nanos seconds(std::int64_t n) {
  return n * nanos_per_second;
}

Instant operator+(Instant at, Nanos span);
Nanos operator-(Instant later, Instant earlier);  // saturates at ±292 years

// xsd:duration: months and seconds kept apart, both of the same sign.
struct XsdDuration {
  std::int64_t months = 0;
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;  // of the sign of the whole
  bool operator==(const XsdDuration&) const = default;
};

// xsd:date as the interval it is: [start of day, start of the next day) in its zone.
struct DayInterval {
  Instant start;
  Instant end;
};

struct ParsedInstant {
  Instant instant;
  bool had_zone = false;  // without one, UTC was taken: a warning in policies
};

// xsd:dateTime and dateTimeStamp, with 24:00:00, fractional seconds cut after nanoseconds, years of
// four or more digits, a leading '-'. Nothing else.
std::optional<ParsedInstant> parse_date_time(std::string_view text);
std::optional<DayInterval> parse_date(std::string_view text);
std::optional<XsdDuration> parse_duration(std::string_view text);

// "2026-01-01T00:00:00.000000Z": always six digits, as records carry it (truncates).
std::string format_micros(Instant at);
// "2026-01-01T00:00:00Z" (truncates), as DSP agreements carry it.
std::string format_seconds(Instant at);
std::string format_duration(const XsdDuration& duration);

// `at` + `duration` by the calendar (XSD appendix E: day pinned to the end of the month).
Instant add(Instant at, const XsdDuration& duration);

// Compares on the four reference dates of XSD; nullopt when they disagree (incomparable).
std::optional<std::strong_ordering> compare(const XsdDuration& a, const XsdDuration& b);

}  // namespace tally
