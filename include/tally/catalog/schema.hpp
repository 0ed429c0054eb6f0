// What an asset's data looks like: its form, and its columns with their classification
// (docs/assets-and-offers.md, "Schema"). Rows, columns and masks are carried out by it. A value;
// pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/json.hpp"
#include "tally/core/result.hpp"

namespace tally::catalog {

// How values are compared and generalized; in the data themselves each is text or a JSON scalar.
enum class ColumnType : std::uint8_t { text, integer, decimal, date, date_time, boolean };
std::string_view to_string(ColumnType type);  // "text", "dateTime"

// Where the data come from: 公共, 企业, 个人.
enum class SourceClass : std::uint8_t { public_, enterprise, personal };
std::string_view to_string(SourceClass source);  // "public"

enum class DataForm : std::uint8_t { csv, json_array, json_lines };
std::string_view to_string(DataForm form);  // "CSV", "JSON", "NDJSON"

// Whether a byte order mark begins the data is part of what is declared.
enum class Encoding : std::uint8_t { utf8, utf8_bom, gb18030 };
std::string_view to_string(Encoding encoding);  // "UTF-8", "UTF-8-BOM", "GB18030"

struct Column {
  std::string name;
  ColumnType type = ColumnType::text;
  SourceClass source = SourceClass::public_;
  int level = 0;        // security level, 0 to 9; the asset's if none was written
  std::string privacy;  // why it is private ("name", "national-id"), or empty
  bool operator==(const Column&) const = default;
};

struct Schema {
  DataForm form = DataForm::csv;
  // Of CSV alone; JSON is UTF-8 without a mark (RFC 8259, 8.1).
  Encoding encoding = Encoding::utf8;
  char delimiter = ',';
  bool header = true;
  std::vector<Column> columns;  // at least one, names unique; in the order of CSV
  bool operator==(const Schema&) const = default;

  static constexpr std::size_t absent = static_cast<std::size_t>(-1);
  // Place in `columns`, or `absent`.
  [[nodiscard]] std::size_t find(std::string_view name) const;
  // For "did you mean".
  [[nodiscard]] std::vector<std::string_view> names() const;
};

// What a call may ask for: the rows whose column has the value that it gives.
struct Parameter {
  std::string name;
  std::string column;
  bool required = false;  // a call without it is refused
  bool operator==(const Parameter&) const = default;
};
Json to_json(const std::vector<Parameter>& parameters);
// What that made. Precondition: so.
std::vector<Parameter> parse_parameters(const Json& json);

// The member `schema` of an asset's document that says the same.
Json to_json(const Schema& schema);
// What to_json made, of data of this media type; strict. Errors: invalid
// (catalog.schema-unreadable: it is no such schema).
Result<Schema> parse_schema(const Json& json, std::string_view media_type);

}  // namespace tally::catalog
