// Records out of JSON: one object a line (NDJSON; lines of blanks are none), or one array of
// objects. They only find where an object ends; FlatObject reads it.
#pragma once

#include "flat_object.hpp"
#include "record.hpp"
#include "text_input.hpp"

namespace tally::dataplane {

class JsonReader : public RecordReader {
 public:
  JsonReader(const catalog::Schema& schema, std::size_t most);

  void feed(std::span<const std::uint8_t> piece) final { input_.feed(piece); }
  void finish() final { input_.finish(); }
  Result<Step> next(Record& out) final;

 protected:
  enum class Found { more, object };
  // Works on `input`, which has something, until an object is whole in `text_`.
  virtual Result<Found> find() = 0;
  // At the end of the data: object, or more where none is left.
  virtual Result<Found> find_last() = 0;
  Result<void> keep(std::size_t bytes);  // of the input's rest
  [[nodiscard]] tl::unexpected<Error> refuse(Message message, std::uint64_t line) const;

  TextInput input_;
  std::string text_;
  std::uint64_t line_ = 1;  // on which text_ begins

 private:
  const std::size_t most_;
  FlatObject object_;
};

class JsonLinesReader final : public JsonReader {
 public:
  using JsonReader::JsonReader;

 private:
  Result<Found> find() override;
  Result<Found> find_last() override;
  [[nodiscard]] Found found() const;
};

class JsonArrayReader final : public JsonReader {
 public:
  using JsonReader::JsonReader;

 private:
  enum class State {
    begin,      // before the array
    first,      // an object, or the end of the array
    object,     // within one
    string,     // within a string of one
    escape,     // behind a backslash in it
    separator,  // behind an object
    next,       // behind a comma
    over,       // behind the array
  };
  Result<Found> find() override;
  Result<Found> find_last() override;
  bool step(char c);  // false: the character does not belong here

  State state_ = State::begin;
};

}  // namespace tally::dataplane
