#include "csv_reader.hpp"

#include <utility>

namespace tally::dataplane {

CsvReader::CsvReader(const catalog::Schema& schema, std::size_t most)
    : schema_(schema),
      most_(most),
      input_(schema.encoding),
      header_due_(schema.header),
      record_(schema.columns.size()) {}

Result<RecordReader::Step> CsvReader::next(Record& out) {
  for (;;) {
    bool whole = false;
    if (input_.rest().empty()) {
      const auto over = input_.is_over();
      if (!over) return tl::unexpected(over.error());
      if (!*over) return Step::more;
      const auto closed = close_at_end();
      if (!closed) return tl::unexpected(closed.error());
      if (!*closed) return Step::end;
      whole = true;
    } else {
      const auto stepped = step();
      if (!stepped) return tl::unexpected(stepped.error());
      whole = *stepped;
    }
    if (!whole) continue;
    if (header_due_) {
      header_due_ = false;
      if (const auto good = check_header(); !good) return tl::unexpected(good.error());
      continue;
    }
    std::swap(out, record_);
    record_.resize(schema_.columns.size());
    return Step::record;
  }
}

// Takes at least one character.
Result<bool> CsvReader::step() {
  const std::string_view rest = input_.rest();
  const char c = rest.front();
  const char stops[] = {schema_.delimiter, '"', '\r', '\n'};
  switch (state_) {
    case State::record_start:
    case State::field_start:
      if (state_ == State::record_start) {
        line_ = input_.line();
        field_ = 0;
        bytes_ = 0;
      }
      if (field_ == record_.size()) return refuse("dataplane.csv-many-fields");
      record_[field_].kind = CellKind::absent;
      record_[field_].text.clear();
      state_ = State::plain;
      if (c != '"') return false;
      state_ = State::quoted;
      record_[field_].kind = CellKind::text;
      input_.consume(1);
      return false;
    case State::plain: {
      const auto run = std::min(rest.find_first_of({stops, sizeof stops}), rest.size());
      if (run > 0) {
        record_[field_].kind = CellKind::text;
        if (const auto taken = take(rest.substr(0, run)); !taken)
          return tl::unexpected(taken.error());
        return false;
      }
      if (c == '"') return refuse("dataplane.csv-quote");
      break;
    }
    case State::quoted: {
      const auto run = std::min(rest.find('"'), rest.size());
      if (run > 0) {
        if (const auto taken = take(rest.substr(0, run)); !taken)
          return tl::unexpected(taken.error());
        return false;
      }
      state_ = State::quote_closed;
      input_.consume(1);
      return false;
    }
    case State::quote_closed:
      if (c == '"') {  // two of them are one
        state_ = State::quoted;
        if (const auto taken = take("\""); !taken) return tl::unexpected(taken.error());
        return false;
      }
      if (c != schema_.delimiter && c != '\r' && c != '\n') return refuse("dataplane.csv-quote");
      break;
    case State::line_end:
      if (c != '\n') return refuse("dataplane.csv-line-end");
      break;
  }
  // What ends a field: a delimiter, LF, or CR with LF behind it.
  if (c == schema_.delimiter) {
    ++field_;
    state_ = State::field_start;
  } else if (c == '\r') {
    state_ = State::line_end;
  }
  input_.consume(1);
  return c == '\n' ? end_record() : Result<bool>(false);
}

// The last record may lack its line end. False: there is none.
Result<bool> CsvReader::close_at_end() {
  switch (state_) {
    case State::record_start:
      if (header_due_) return check_header().map([] { return false; });
      return false;
    case State::quoted:
      return refuse("dataplane.csv-open-quote");
    case State::line_end:
      return refuse("dataplane.csv-line-end");
    case State::field_start:
      if (field_ == record_.size()) return refuse("dataplane.csv-many-fields");
      record_[field_] = Cell{};
      return end_record();
    case State::plain:
    case State::quote_closed:
      return end_record();
  }
  return false;
}

// Into the field, out of the input.
Result<void> CsvReader::take(std::string_view text) {
  bytes_ += text.size();
  if (bytes_ > most_) {
    Message message{
        "dataplane.record-too-long",
        {{"line", std::to_string(line_)}, {"most", std::to_string(most_)}}};
    return fail(ErrorKind::unavailable, std::move(message));
  }
  record_[field_].text += text;
  input_.consume(text.size());
  return {};
}

Result<bool> CsvReader::end_record() {
  state_ = State::record_start;
  if (field_ + 1 == record_.size()) return true;
  Message message{
      "dataplane.csv-few-fields",
      {{"line", std::to_string(line_)},
       {"found", std::to_string(field_ + 1)},
       {"expected", std::to_string(record_.size())}}};
  return fail(ErrorKind::unavailable, std::move(message));
}

// Names what the schema says: what was found may be data.
Result<void> CsvReader::check_header() const {
  for (std::size_t i = 0; i < record_.size(); ++i) {
    if (record_[i].kind == CellKind::text && record_[i].text == schema_.columns[i].name) continue;
    Message message{
        "dataplane.csv-header",
        {{"column", std::to_string(i + 1)}, {"expected", schema_.columns[i].name}}};
    return fail(ErrorKind::unavailable, std::move(message));
  }
  return {};
}

tl::unexpected<Error> CsvReader::refuse(const char* code) const {
  const auto line = state_ == State::quoted ? line_ : input_.line();
  Message message{
      code, {{"line", std::to_string(line)}, {"expected", std::to_string(schema_.columns.size())}}};
  return fail(ErrorKind::unavailable, std::move(message));
}

}  // namespace tally::dataplane
