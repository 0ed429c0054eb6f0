// Follows a log from a record on, beside its running writer: each call goes on where the last one
// ended, without reading again what lies before it. Reads only, without a lock. One thread at a
// time; its memory does not grow with the log.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tally/audit/log_storage.hpp"
#include "tally/audit/recovery.hpp"

namespace tally::audit {

class LogTail {
 public:
  // `next`: the first record that is wanted. Where it was pruned, the first one that is there.
  LogTail(std::unique_ptr<LogStorage> storage, std::uint64_t next);

  // Hands out at most `most` of the records before `end`, in order. `end` is how far the log is
  // durable: what stands behind it in the file may still be lost. Blocks. Errors: unavailable: of
  // the storage; audit.tail-unreadable {seq}: a durable record cannot be read. What was handed out
  // before an error counts.
  Result<void> read(std::uint64_t end, std::size_t most, const EachRecord& each);

  // The record that comes next.
  [[nodiscard]] std::uint64_t next() const { return next_; }

 private:
  Result<void> find_segment();

  std::unique_ptr<LogStorage> storage_;
  std::uint64_t next_;
  std::string segment_;       // where `at_` is; empty: not looked for yet
  std::uint64_t offset_ = 0;  // of the frame that begins with record `first_of_frame_`
  std::uint64_t first_of_frame_ = 0;
};

}  // namespace tally::audit
