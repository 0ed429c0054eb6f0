// What reads rows out of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tally/catalog/schema.hpp"
#include "tally/core/result.hpp"
#include "tally/dataplane/cell.hpp"

namespace tally::dataplane {

// Takes bytes in pieces of any size and gives records. Holds one record and one piece at most. An
// error names the line and nothing of what stands in it, since it reaches logs and peers; after one
// nothing more is read.
class RecordReader {
 public:
  enum class Step {
    record,  // `out` is one
    more,    // feed a piece, or finish
    end,     // after `finish` alone
  };
  virtual ~RecordReader() = default;
  // Precondition: `next` has asked for more, or nothing was fed yet.
  virtual void feed(std::span<const std::uint8_t> piece) = 0;
  virtual void finish() = 0;
  // Errors: unavailable (the data do not fit the schema).
  virtual Result<Step> next(Record& out) = 0;
};

// `schema` outlives the reader. `most` bytes for one record, as UTF-8.
std::unique_ptr<RecordReader> make_record_reader(const catalog::Schema& schema, std::size_t most);

}  // namespace tally::dataplane
