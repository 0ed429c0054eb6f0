#include "typed_cell.hpp"

#include <optional>

#include "tally/core/instant.hpp"

namespace tally::dataplane {

namespace {

using catalog::ColumnType;
using odrl::Malformed;
using odrl::Value;

Value number(const std::string& text, bool whole, bool exponent) {
  auto parsed = odrl::parse_decimal(text, exponent);
  if (!parsed || (whole && parsed->digits.size() > parsed->whole)) return Malformed{text};
  return std::move(*parsed);
}

Value day(const std::string& text) {
  const auto parsed = parse_date(text);
  if (!parsed) return Malformed{text};
  return odrl::TimeSpan{parsed->start, parsed->end};
}

Value time(const std::string& text) {
  const auto parsed = parse_date_time(text);
  if (!parsed) return Malformed{text};
  return odrl::TimeSpan{parsed->instant, parsed->instant + 1};
}

Value value_of(const std::string& text, ColumnType type, bool exponent) {
  switch (type) {
    case ColumnType::text:
      return odrl::Text{text, {}};
    case ColumnType::integer:
      return number(text, true, exponent);
    case ColumnType::decimal:
      return number(text, false, exponent);
    case ColumnType::date:
      return day(text);
    case ColumnType::date_time:
      return time(text);
    case ColumnType::boolean:
      if (text != "true" && text != "false") return Malformed{text};
      return text == "true";
  }
  return Malformed{text};
}

CellKind kind_in_json(ColumnType type) {
  switch (type) {
    case ColumnType::integer:
    case ColumnType::decimal:
      return CellKind::number;
    case ColumnType::boolean:
      return CellKind::boolean;
    case ColumnType::text:
    case ColumnType::date:
    case ColumnType::date_time:
      break;
  }
  return CellKind::text;
}

}  // namespace

Value typed_cell(const Cell& cell, ColumnType type, catalog::DataForm form) {
  if (cell.kind == CellKind::absent) return Malformed{};
  const bool json = form != catalog::DataForm::csv;
  if (json && cell.kind != kind_in_json(type)) return Malformed{cell.text};
  return value_of(cell.text, type, json);
}

Value typed_text(const std::string& text, ColumnType type) {
  // A whole day can be asked of a column of times.
  if (type == ColumnType::date_time && parse_date(text)) return day(text);
  return value_of(text, type, false);
}

}  // namespace tally::dataplane
