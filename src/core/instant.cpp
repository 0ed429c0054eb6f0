#include "tally/core/instant.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace tally {
namespace {

constexpr std::int64_t seconds_per_day = 86'400;
// Nine digits of year keep every sum below far inside 64 bits.
constexpr std::size_t most_year_digits = 9;
constexpr std::int64_t most_months = 12'000'000'000;
constexpr std::int64_t most_seconds = 31'622'400'000'000'000;  // 1e9 years

struct Date {
  std::int64_t year = 1970;  // astronomical: XSD 1.1 has a year zero
  int month = 1;
  int day = 1;
};

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

bool is_leap(std::int64_t year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int days_in_month(std::int64_t year, int month) {
  constexpr std::array<int, 12> days = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : days[static_cast<std::size_t>(month - 1)];
}

// Days since 1970-01-01 in the proleptic Gregorian calendar; years counted from March.
std::int64_t days_from(const Date& date) {
  const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
  const std::int64_t era = floor_div(year, 400);
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year =
      (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
  const std::int64_t day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

Date date_from(std::int64_t days) {
  days += 719'468;
  const std::int64_t era = floor_div(days, 146'097);
  const std::int64_t day_of_era = days - era * 146'097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
  Date date;
  date.day = static_cast<int>(day_of_year - (153 * month_from_march + 2) / 5 + 1);
  date.month =
      static_cast<int>(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
  date.year = year_of_era + era * 400 + (date.month <= 2 ? 1 : 0);
  return date;
}

std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b < 0 ? std::numeric_limits<std::int64_t>::min()
               : std::numeric_limits<std::int64_t>::max();
}

// Reads a text from the left; a failed step leaves the reader where it was.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}
  [[nodiscard]] bool done() const { return rest_.empty(); }
  bool skip(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view digits() {
    const auto end = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    const std::string_view found = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return found;
  }
  std::optional<int> two_digits() {
    if (rest_.size() < 2 || !is_digit(rest_[0]) || !is_digit(rest_[1])) return std::nullopt;
    const int value = (rest_[0] - '0') * 10 + (rest_[1] - '0');
    rest_.remove_prefix(2);
    return value;
  }
  // After a '.': at least one digit; those after the ninth are cut.
  std::optional<std::int32_t> fraction() {
    const std::string_view found = digits();
    if (found.empty()) return std::nullopt;
    std::int32_t nanos = 0;
    for (std::size_t i = 0; i < 9; ++i)
      nanos = nanos * 10 + (i < found.size() ? found[i] - '0' : 0);
    return nanos;
  }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  std::string_view rest_;
};

std::optional<std::int64_t> to_number(std::string_view digits, std::int64_t most) {
  std::int64_t value = 0;
  for (const char c : digits) {
    if (__builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, c - '0', &value)) {
      return std::nullopt;
    }
    if (value > most) return std::nullopt;
  }
  return value;
}

std::optional<Date> read_date(Reader& in) {
  const bool negative = in.skip('-');
  const std::string_view year = in.digits();
  if (year.size() < 4 || year.size() > most_year_digits) return std::nullopt;
  if (year.size() > 4 && year[0] == '0') return std::nullopt;
  Date date;
  date.year = *to_number(year, std::numeric_limits<std::int64_t>::max());
  if (negative) date.year = -date.year;
  if (!in.skip('-')) return std::nullopt;
  const auto month = in.two_digits();
  if (!month || *month < 1 || *month > 12 || !in.skip('-')) return std::nullopt;
  const auto day = in.two_digits();
  date.month = *month;
  if (!day || *day < 1 || *day > days_in_month(date.year, date.month)) return std::nullopt;
  date.day = *day;
  return date;
}

struct Zone {
  std::int64_t offset_seconds = 0;
  bool given = false;
};

// What is left must be a zone or nothing.
std::optional<Zone> read_zone(Reader& in) {
  if (in.done()) return Zone{};
  if (in.skip('Z')) return in.done() ? std::optional(Zone{0, true}) : std::nullopt;
  const bool west = in.skip('-');
  if (!west && !in.skip('+')) return std::nullopt;
  const auto hours = in.two_digits();
  if (!hours || !in.skip(':')) return std::nullopt;
  const auto minutes = in.two_digits();
  if (!minutes || *minutes > 59 || !in.done()) return std::nullopt;
  if (*hours > 14 || (*hours == 14 && *minutes != 0)) return std::nullopt;
  const std::int64_t offset = *hours * 3600 + *minutes * 60;
  return Zone{west ? -offset : offset, true};
}

struct Parts {
  Date date;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

Parts parts_of(Instant at) {
  const std::int64_t days = floor_div(at.seconds, seconds_per_day);
  const std::int64_t rest = at.seconds - days * seconds_per_day;
  return {
      date_from(days),
      static_cast<int>(rest / 3600),
      static_cast<int>(rest / 60 % 60),
      static_cast<int>(rest % 60)};
}

// At least `width` digits. Records carry several times each: this is no place for printf.
void append_digits(std::string& out, std::int64_t value, std::size_t width) {
  const std::string digits = std::to_string(value);
  if (digits.size() < width) out.append(width - digits.size(), '0');
  out += digits;
}

std::string format_to_seconds(Instant at) {
  // Beyond the years that can be read, the nearest second that can.
  constexpr std::int64_t far = 31'556'000'000'000'000;
  const Parts parts = parts_of({std::clamp(at.seconds, -far, far), 0});
  std::string out;
  out.reserve(32);
  if (parts.date.year < 0) out += '-';
  append_digits(out, std::abs(parts.date.year), 4);
  out += '-';
  append_digits(out, parts.date.month, 2);
  out += '-';
  append_digits(out, parts.date.day, 2);
  out += 'T';
  append_digits(out, parts.hour, 2);
  out += ':';
  append_digits(out, parts.minute, 2);
  out += ':';
  append_digits(out, parts.second, 2);
  return out;
}

}  // namespace

Instant operator+(Instant at, Nanos span) {
  const Nanos whole = floor_div(span, nanos_per_second);
  std::int64_t nanos = at.nanos + (span - whole * nanos_per_second);
  std::int64_t carried = saturating_add(at.seconds, whole);
  if (nanos >= nanos_per_second) {
    nanos -= nanos_per_second;
    carried = saturating_add(carried, 1);
  }
  return {carried, static_cast<std::int32_t>(nanos)};
}

Nanos operator-(Instant later, Instant earlier) {
  const bool negative = later < earlier;
  const Nanos limit =
      negative ? std::numeric_limits<Nanos>::min() : std::numeric_limits<Nanos>::max();
  std::int64_t whole = 0;
  std::int64_t nanos = 0;
  if (__builtin_sub_overflow(later.seconds, earlier.seconds, &whole)) return limit;
  if (__builtin_mul_overflow(whole, nanos_per_second, &nanos)) return limit;
  if (__builtin_add_overflow(nanos, std::int64_t{later.nanos} - earlier.nanos, &nanos))
    return limit;
  return nanos;
}

std::optional<ParsedInstant> parse_date_time(std::string_view text) {
  Reader in(text);
  const auto date = read_date(in);
  if (!date || !in.skip('T')) return std::nullopt;
  const auto hour = in.two_digits();
  if (!hour || !in.skip(':')) return std::nullopt;
  const auto minute = in.two_digits();
  if (!minute || !in.skip(':')) return std::nullopt;
  const auto second = in.two_digits();
  if (!second) return std::nullopt;
  std::int32_t nanos = 0;
  if (in.skip('.')) {
    const auto fraction = in.fraction();
    if (!fraction) return std::nullopt;
    nanos = *fraction;
  }
  if (*hour > 24 || *minute > 59 || *second > 59) return std::nullopt;
  if (*hour == 24 && (*minute != 0 || *second != 0 || nanos != 0)) return std::nullopt;
  const auto zone = read_zone(in);
  if (!zone) return std::nullopt;
  const std::int64_t of_day = *hour * 3600 + *minute * 60 + *second;
  const std::int64_t at = days_from(*date) * seconds_per_day + of_day - zone->offset_seconds;
  return ParsedInstant{{at, nanos}, zone->given};
}

std::optional<DayInterval> parse_date(std::string_view text) {
  Reader in(text);
  const auto date = read_date(in);
  if (!date) return std::nullopt;
  const auto zone = read_zone(in);
  if (!zone) return std::nullopt;
  const std::int64_t start = days_from(*date) * seconds_per_day - zone->offset_seconds;
  return DayInterval{{start, 0}, {start + seconds_per_day, 0}};
}

std::optional<XsdDuration> parse_duration(std::string_view text) {
  Reader in(text);
  const bool negative = in.skip('-');
  if (!in.skip('P')) return std::nullopt;
  XsdDuration duration;
  // Each part at most once and in this order; -1 is where the T must stand.
  struct Part {
    char letter;
    std::int64_t months;
    std::int64_t seconds;
    bool of_time;
  };
  constexpr std::array<Part, 6> parts = {
      {{'Y', 12, 0, false},
       {'M', 1, 0, false},
       {'D', 0, seconds_per_day, false},
       {'H', 0, 3600, true},
       {'M', 0, 60, true},
       {'S', 0, 1, true}}};
  std::size_t next = 0;
  bool in_time = false;
  bool any = false;
  while (!in.done()) {
    if (!in_time && in.skip('T')) {
      in_time = true;
      next = std::max<std::size_t>(next, 3);
      if (in.done()) return std::nullopt;
    }
    const std::string_view digits = in.digits();
    const auto value = digits.empty() ? std::nullopt : to_number(digits, most_seconds);
    if (!value) return std::nullopt;
    if (in.skip('.')) {
      const auto fraction = in.fraction();
      if (!fraction || !in_time || !in.skip('S') || !in.done()) return std::nullopt;
      duration.seconds += *value;
      duration.nanos = *fraction;
      any = true;
      break;
    }
    while (next < parts.size() && (parts[next].of_time != in_time || !in.skip(parts[next].letter))
    ) {
      ++next;
    }
    if (next == parts.size()) return std::nullopt;
    std::int64_t months = 0;
    std::int64_t span = 0;
    if (__builtin_mul_overflow(*value, parts[next].months, &months) ||
        __builtin_mul_overflow(*value, parts[next].seconds, &span)) {
      return std::nullopt;
    }
    duration.months = saturating_add(duration.months, months);
    duration.seconds = saturating_add(duration.seconds, span);
    ++next;
    any = true;
  }
  if (!any || duration.months > most_months || duration.seconds > most_seconds) {
    return std::nullopt;
  }
  if (negative) {
    duration.months = -duration.months;
    duration.seconds = -duration.seconds;
    duration.nanos = -duration.nanos;
  }
  return duration;
}

std::string format_micros(Instant at) {
  std::string out = format_to_seconds(at);
  out += '.';
  append_digits(out, at.nanos / 1000, 6);
  out += 'Z';
  return out;
}

std::string format_seconds(Instant at) {
  return format_to_seconds(at) + "Z";
}

std::string format_duration(const XsdDuration& duration) {
  const bool negative = duration.months < 0 || duration.seconds < 0 || duration.nanos < 0;
  const std::int64_t months = std::abs(duration.months);
  const std::int64_t whole = std::abs(duration.seconds);
  const std::int32_t nanos = std::abs(duration.nanos);
  std::string text = negative ? "-P" : "P";
  const auto part = [&](std::int64_t value, char letter) {
    if (value == 0) return;
    text += std::to_string(value);
    text += letter;
  };
  part(months / 12, 'Y');
  part(months % 12, 'M');
  part(whole / seconds_per_day, 'D');
  const std::int64_t of_day = whole % seconds_per_day;
  if (of_day != 0 || nanos != 0) {
    text += 'T';
    part(of_day / 3600, 'H');
    part(of_day / 60 % 60, 'M');
    if (of_day % 60 != 0 || nanos != 0) {
      text += std::to_string(of_day % 60);
      if (nanos != 0) {
        std::string fraction = std::to_string(nanos);
        fraction.insert(0, 9 - fraction.size(), '0');
        fraction.erase(fraction.find_last_not_of('0') + 1);
        text += "." + fraction;
      }
      text += 'S';
    }
  }
  if (text.back() == 'P') text += "T0S";
  return text;
}

Instant add(Instant at, const XsdDuration& duration) {
  constexpr std::int64_t far = 4'000'000'000'000'000'000;
  const std::int64_t days = floor_div(std::clamp(at.seconds, -far, far), seconds_per_day);
  const std::int64_t of_day = at.seconds - days * seconds_per_day;
  Date date = date_from(days);
  const std::int64_t months = saturating_add(
      date.year * 12 + date.month - 1, std::clamp(duration.months, -most_months, most_months)
  );
  date.year = floor_div(months, 12);
  date.month = static_cast<int>(months - date.year * 12) + 1;
  date.day = std::min(date.day, days_in_month(date.year, date.month));
  std::int64_t whole = saturating_add(days_from(date) * seconds_per_day + of_day, duration.seconds);
  std::int64_t nanos = std::int64_t{at.nanos} + duration.nanos;
  if (nanos >= nanos_per_second) {
    nanos -= nanos_per_second;
    whole = saturating_add(whole, 1);
  } else if (nanos < 0) {
    nanos += nanos_per_second;
    whole = saturating_add(whole, -1);
  }
  return {whole, static_cast<std::int32_t>(nanos)};
}

std::optional<std::strong_ordering> compare(const XsdDuration& a, const XsdDuration& b) {
  // XSD 1.1 part 2, 3.3.6.2.
  constexpr std::array<Date, 4> references = {
      {{1696, 9, 1}, {1697, 2, 1}, {1903, 3, 1}, {1903, 7, 1}}};
  std::optional<std::strong_ordering> order;
  for (const Date& reference : references) {
    const Instant from{days_from(reference) * seconds_per_day, 0};
    const std::strong_ordering here = add(from, a) <=> add(from, b);
    if (order && *order != here) return std::nullopt;
    order = here;
  }
  return order;
}

}  // namespace tally
