// Any bytes as data in any of the forms. The first byte says which form and encoding, the second
// how long the pieces are. The same records, or the same fault at the same line, come out however
// the bytes are cut; a record has the schema's columns; and what is written of it is read as it
// was. Seeds: the project's cases (seeds.py).
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "tally/core/digest.hpp"

#include "dataplane/record.hpp"
#include "dataplane/record_writer.hpp"

namespace {

using namespace tally;
using namespace tally::dataplane;

void expect(bool good) {
  if (!good) std::abort();
}

constexpr std::size_t most = 4096;
// Of what is written: every column is there, and what has to be escaped is.
constexpr std::size_t most_written = 10 * most;

catalog::Schema schema_of(std::uint8_t choice) {
  catalog::Schema schema;
  schema.form = static_cast<catalog::DataForm>(choice % 3);
  if (schema.form == catalog::DataForm::csv) {
    schema.encoding = static_cast<catalog::Encoding>(choice / 3 % 3);
    schema.header = choice % 2 == 0;
    schema.delimiter = (choice & 64U) != 0 ? ';' : ',';
  }
  for (const char* name : {"a", "b", "n"}) {
    catalog::Column column;
    column.name = name;
    schema.columns.push_back(std::move(column));
  }
  return schema;
}

struct Outcome {
  std::vector<Record> records;
  std::optional<Message> fault;
};

Outcome read(
    const catalog::Schema& schema,
    std::span<const std::uint8_t> bytes,
    std::size_t piece,
    std::size_t record_bytes = most
) {
  const auto reader = make_record_reader(schema, record_bytes);
  Outcome out;
  Record record;
  for (;;) {
    const auto step = reader->next(record);
    if (!step) {
      out.fault = step.error().message;
      return out;
    }
    if (*step == RecordReader::Step::end) return out;
    if (*step == RecordReader::Step::record) {
      expect(record.size() == schema.columns.size());
      out.records.push_back(record);
    } else if (bytes.empty()) {
      reader->finish();
    } else {
      const auto next = bytes.first(std::min(piece, bytes.size()));
      reader->feed(next);
      bytes = bytes.subspan(next.size());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto schema = schema_of(data[0]);
  const std::span bytes(data + 2, size - 2);
  const auto whole = read(schema, bytes, bytes.size() + 1);
  const auto cut = read(schema, bytes, 1 + data[1] % 16);
  expect(whole.records == cut.records && whole.fault == cut.fault);

  auto written = schema;
  written.encoding = catalog::Encoding::utf8;
  std::string text;
  RecordWriter writer(written);
  writer.begin(text);
  for (const auto& record : whole.records) writer.record(record, text);
  writer.end(text);
  const auto again = read(written, as_bytes(text), 4096, most_written);
  expect(again.records == whole.records && !again.fault);
  return 0;
}
