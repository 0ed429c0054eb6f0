#include "record.hpp"

#include "csv_reader.hpp"
#include "json_reader.hpp"

namespace tally::dataplane {

std::unique_ptr<RecordReader> make_record_reader(const catalog::Schema& schema, std::size_t most) {
  switch (schema.form) {
    case catalog::DataForm::csv:
      return std::make_unique<CsvReader>(schema, most);
    case catalog::DataForm::json_array:
      return std::make_unique<JsonArrayReader>(schema, most);
    case catalog::DataForm::json_lines:
      return std::make_unique<JsonLinesReader>(schema, most);
  }
  return nullptr;
}

}  // namespace tally::dataplane
