// Eclipse EDC's inForceDate: dateTime under another name, with values of two forms. A point in
// time, or "contractAgreement+30d": so long after the agreement was signed, which is the timestamp
// that the agreement itself has. Both become the point in time, so that everything behind the
// loader knows one kind of date.
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tally/core/instant.hpp"

#include "loader.hpp"

namespace tally::odrl {

namespace {

// As far as a year of four digits goes: what is shown can be read again.
constexpr std::int64_t earliest = -62'135'596'800;
constexpr std::int64_t latest = 253'402'300'799;

std::optional<std::string_view> behind_agreement(std::string_view text) {
  for (const std::string_view start : {"contractAgreement+", "contractagreement+"}) {
    if (text.starts_with(start)) return text.substr(start.size());
  }
  return std::nullopt;
}

// "30d" in seconds; nullopt: something else, or too much to count.
std::optional<std::int64_t> read_span(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  std::int64_t unit = 0;
  switch (text.back()) {
    case 's':
      unit = 1;
      break;
    case 'm':
      unit = 60;
      break;
    case 'h':
      unit = 3600;
      break;
    case 'd':
      unit = 86'400;
      break;
    default:
      return std::nullopt;
  }
  text.remove_suffix(1);
  std::int64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  const std::int64_t most = (latest - earliest) / unit;
  if (number > most || number < -most) return std::nullopt;
  return number * unit;
}

}  // namespace

bool Loader::settle_in_force_dates(std::vector<Literal>& literals) {
  const std::string text_type = std::string(iri::xsd) + "string";
  const std::string time_type = std::string(iri::xsd) + "dateTime";
  bool good = true;
  for (auto& literal : literals) {
    const bool typed = literal.is_iri || literal.is_number || literal.is_boolean ||
                       (!literal.type.empty() && literal.type != text_type);
    const auto refuse = [&](const char* code) {
      problem(code, {{"value", literal.text}}, literal.pointer);
      good = false;
    };
    const auto span_text = behind_agreement(literal.text);
    if (!span_text || typed) {
      // EDC knows no date without a time, and no time without a zone.
      const auto at = parse_date_time(literal.text);
      if (!at || !at->had_zone || (typed && literal.type != time_type)) {
        refuse("odrl.in-force-date-value");
      } else {
        literal.type = time_type;
      }
      continue;
    }
    const auto span = read_span(*span_text);
    // EDC keeps the whole seconds of the signing.
    const auto at = span && agreed_at_ ? agreed_at_->seconds + *span : earliest;
    if (!span) {
      refuse("odrl.in-force-date-value");
    } else if (!agreed_at_) {
      refuse("odrl.in-force-date-no-agreement");
    } else if (at < earliest || at > latest) {
      refuse("odrl.in-force-date-value");
    } else {
      literal.text = format_seconds({at, 0});
      literal.type = time_type;
    }
  }
  return good;
}

}  // namespace tally::odrl
