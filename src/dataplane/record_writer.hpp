// Records to bytes, in the form that they came in; always UTF-8 without a byte order mark. CSV ends
// its lines in CRLF and quotes what needs it (RFC 4180); JSON writes every column, null where there
// is nothing.
#pragma once

#include <string>

#include "tally/catalog/schema.hpp"

#include "record.hpp"

namespace tally::dataplane {

class RecordWriter {
 public:
  // `schema`, of what is written, outlives the writer.
  explicit RecordWriter(const catalog::Schema& schema) : schema_(schema) {}

  // Each appends to `out`: `begin` once, then records, then `end` once.
  void begin(std::string& out);
  void record(const Record& record, std::string& out);
  void end(std::string& out);

 private:
  void csv_field(const Cell& cell, std::string& out) const;
  void csv_record(const Record& record, std::string& out) const;
  void json_object(const Record& record, std::string& out) const;

  const catalog::Schema& schema_;
  bool first_ = true;
};

}  // namespace tally::dataplane
