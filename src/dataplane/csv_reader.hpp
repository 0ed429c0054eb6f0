// CSV (RFC 4180), strictly: quotes only around whole fields, lines end in CRLF or LF, each record
// has as many fields as the schema has columns, and the header says their names in its order.
#pragma once

#include "record.hpp"
#include "text_input.hpp"

namespace tally::dataplane {

class CsvReader final : public RecordReader {
 public:
  CsvReader(const catalog::Schema& schema, std::size_t most);

  void feed(std::span<const std::uint8_t> piece) override { input_.feed(piece); }
  void finish() override { input_.finish(); }
  Result<Step> next(Record& out) override;

 private:
  enum class State {
    record_start,
    field_start,   // behind a delimiter
    plain,         // in a field without quotes
    quoted,        // within quotes
    quote_closed,  // behind a quote that closes, or is the first of two
    line_end,      // behind a CR that is no part of a field
  };

  Result<bool> step();  // whether a record is whole
  Result<bool> close_at_end();
  Result<void> take(std::string_view text);
  Result<void> end_field();
  Result<bool> end_record();
  Result<void> check_header() const;
  [[nodiscard]] tl::unexpected<Error> refuse(const char* code) const;

  const catalog::Schema& schema_;
  const std::size_t most_;
  TextInput input_;
  State state_ = State::record_start;
  bool header_due_;
  Record record_;
  std::size_t field_ = 0;   // into record_
  std::size_t bytes_ = 0;   // of the record so far
  std::uint64_t line_ = 1;  // on which the record begins
};

}  // namespace tally::dataplane
