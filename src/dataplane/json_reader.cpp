#include "json_reader.hpp"

#include <utility>

namespace tally::dataplane {

namespace {

constexpr std::string_view blanks = " \t\r\n";

}  // namespace

JsonReader::JsonReader(const catalog::Schema& schema, std::size_t most)
    : input_(catalog::Encoding::utf8), most_(most), object_(schema) {}

Result<RecordReader::Step> JsonReader::next(Record& out) {
  for (;;) {
    Result<Found> found = Found::more;
    bool last = false;
    if (input_.rest().empty()) {
      const auto over = input_.is_over();
      if (!over) return tl::unexpected(over.error());
      if (!*over) return Step::more;
      last = true;
      found = find_last();
    } else {
      found = find();
    }
    if (!found) return tl::unexpected(found.error());
    if (*found == Found::more) {
      if (last) return Step::end;
      continue;
    }
    auto fault = object_.read(text_, out);
    if (fault) return refuse(std::move(*fault), line_);
    text_.clear();
    return Step::record;
  }
}

Result<void> JsonReader::keep(std::size_t bytes) {
  if (text_.empty()) line_ = input_.line();
  if (text_.size() + bytes > most_) {
    return refuse({"dataplane.record-too-long", {{"most", std::to_string(most_)}}}, line_);
  }
  text_ += input_.rest().substr(0, bytes);
  input_.consume(bytes);
  return {};
}

tl::unexpected<Error> JsonReader::refuse(Message message, std::uint64_t line) const {
  message.params["line"] = std::to_string(line);
  return fail(ErrorKind::unavailable, std::move(message));
}

// --- one object a line -------------------------------------------------------------------------

Result<JsonReader::Found> JsonLinesReader::find() {
  const auto end = input_.rest().find('\n');
  const bool whole = end != std::string_view::npos;
  if (const auto kept = keep(whole ? end : input_.rest().size()); !kept) {
    return tl::unexpected(kept.error());
  }
  if (!whole) return Found::more;
  input_.consume(1);
  const Found out = found();
  if (out == Found::more) text_.clear();
  return out;
}

Result<JsonReader::Found> JsonLinesReader::find_last() {
  return found();
}

JsonReader::Found JsonLinesReader::found() const {
  return text_.find_first_not_of(blanks) == std::string::npos ? Found::more : Found::object;
}

// --- one array of objects ----------------------------------------------------------------------

Result<JsonReader::Found> JsonArrayReader::find() {
  const std::string_view rest = input_.rest();
  std::size_t at = 0;
  const bool within = state_ >= State::object && state_ <= State::escape;
  if (!within) {
    // What is between objects is not kept.
    const char c = rest.front();
    if (blanks.find(c) == std::string_view::npos && !step(c)) {
      return refuse({"dataplane.json-malformed", {}}, input_.line());
    }
    if (state_ != State::object) {
      input_.consume(1);
      return Found::more;
    }
    at = 1;
  }
  // An object ends with its first brace outside a string: a value that has braces of its own is
  // refused anyway, by FlatObject.
  while (at < rest.size() && state_ != State::separator) step(rest[at++]);
  if (const auto kept = keep(at); !kept) return tl::unexpected(kept.error());
  return state_ == State::separator ? Found::object : Found::more;
}

Result<JsonReader::Found> JsonArrayReader::find_last() {
  if (state_ == State::over) return Found::more;
  return refuse({"dataplane.json-cut", {}}, input_.line());
}

bool JsonArrayReader::step(char c) {
  switch (state_) {
    case State::begin:
      state_ = State::first;
      return c == '[';
    case State::first:
      state_ = c == ']' ? State::over : State::object;
      return c == ']' || c == '{';
    case State::next:
      state_ = State::object;
      return c == '{';
    case State::object:
      if (c == '"') state_ = State::string;
      if (c == '}') state_ = State::separator;
      return true;
    case State::string:
      if (c == '"') state_ = State::object;
      if (c == '\\') state_ = State::escape;
      return true;
    case State::escape:
      state_ = State::string;
      return true;
    case State::separator:
      state_ = c == ']' ? State::over : State::next;
      return c == ']' || c == ',';
    case State::over:
      return false;
  }
  return false;
}

}  // namespace tally::dataplane
