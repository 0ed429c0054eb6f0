// One JSON object (RFC 8259) as a record: its members are the columns of the schema, its values are
// strings, numbers, booleans or null. A number keeps its digits as they are written. What is
// nested, unknown or there twice is refused; a column that is not there is null.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tally/catalog/schema.hpp"
#include "tally/core/message.hpp"

#include "record.hpp"

namespace tally::dataplane {

class FlatObject {
 public:
  explicit FlatObject(const catalog::Schema& schema);

  // nullopt: `out` is the record. Else what is wrong (dataplane.json-*), without its line.
  // `text` is UTF-8.
  std::optional<Message> read(std::string_view text, Record& out);

 private:
  std::optional<Message> read_members(Record& out);
  std::optional<Message> read_value(Cell& out, std::size_t column);
  bool read_string(std::string& out);
  bool read_escape(std::string& out);
  bool read_hex(std::uint32_t& out);
  bool read_number(std::string& out);
  void skip_blanks();
  bool take(char c);
  bool take(std::string_view word);
  [[nodiscard]] Message named(const char* code, std::size_t column) const;

  const catalog::Schema& schema_;
  std::unordered_map<std::string_view, std::size_t> places_;
  std::vector<bool> seen_;
  std::string name_;
  std::string_view rest_;
};

}  // namespace tally::dataplane
