#include "record_writer.hpp"

#include <algorithm>

namespace tally::dataplane {

namespace {

void json_string(std::string_view text, std::string& out) {
  static constexpr std::string_view digits = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += "\\u00";
      out += digits[byte >> 4U];
      out += digits[byte & 15U];
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

void RecordWriter::begin(std::string& out) {
  if (schema_.form == catalog::DataForm::json_array) out += '[';
  if (schema_.form != catalog::DataForm::csv || !schema_.header) return;
  Record names;
  for (const auto& column : schema_.columns) names.push_back({CellKind::text, column.name});
  csv_record(names, out);
}

void RecordWriter::record(const Record& record, std::string& out) {
  switch (schema_.form) {
    case catalog::DataForm::csv:
      return csv_record(record, out);
    case catalog::DataForm::json_lines:
      json_object(record, out);
      out += '\n';
      return;
    case catalog::DataForm::json_array:
      out += first_ ? "\n" : ",\n";
      first_ = false;
      json_object(record, out);
      return;
  }
}

void RecordWriter::end(std::string& out) {
  if (schema_.form == catalog::DataForm::json_array) out += "\n]\n";
}

void RecordWriter::csv_field(const Cell& cell, std::string& out) const {
  const char special[] = {schema_.delimiter, '"', '\r', '\n'};
  // An empty text is told from nothing by its quotes, and a character from a byte order mark.
  const bool quotes = cell.kind != CellKind::absent &&
                      (cell.text.empty() || cell.text.starts_with("\xef\xbb\xbf") ||
                       cell.text.find_first_of({special, sizeof special}) != std::string::npos);
  if (!quotes) {
    if (cell.kind != CellKind::absent) out += cell.text;
    return;
  }
  out += '"';
  for (const char c : cell.text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

void RecordWriter::csv_record(const Record& record, std::string& out) const {
  for (std::size_t i = 0; i < record.size(); ++i) {
    if (i > 0) out += schema_.delimiter;
    csv_field(record[i], out);
  }
  out += "\r\n";
}

void RecordWriter::json_object(const Record& record, std::string& out) const {
  out += '{';
  for (std::size_t i = 0; i < record.size(); ++i) {
    if (i > 0) out += ',';
    json_string(schema_.columns[i].name, out);
    out += ':';
    const Cell& cell = record[i];
    if (cell.kind == CellKind::absent) {
      out += "null";
    } else if (cell.kind == CellKind::text) {
      json_string(cell.text, out);
    } else {
      out += cell.text;
    }
  }
  out += '}';
}

}  // namespace tally::dataplane
