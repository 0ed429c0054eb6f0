// Reads one segment frame by frame through a window, so that memory does not grow with the log.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tally/audit/log_storage.hpp"

#include "log_format.hpp"

namespace tally::audit {

class SegmentReader {
 public:
  static Result<SegmentReader> open(LogStorage& storage, const std::string& name);
  SegmentReader(std::unique_ptr<LogFile> file, std::string name, std::uint64_t size);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }

  // The frame at `offset`; its texts live until the next call.
  Result<Frame> frame_at(std::uint64_t offset);
  // The first byte at or behind `offset` that is not zero.
  Result<std::optional<std::uint64_t>> next_written(std::uint64_t offset);
  // The first valid frame that starts at or behind `offset`.
  Result<std::optional<std::uint64_t>> next_valid_frame(std::uint64_t offset);
  Result<Bytes> read(std::uint64_t offset, std::uint64_t bytes);

 private:
  // At least min(`bytes`, what the file has) from `offset`.
  Result<std::span<const std::uint8_t>> window(std::uint64_t offset, std::size_t bytes);

  std::unique_ptr<LogFile> file_;
  std::string name_;
  std::uint64_t size_ = 0;
  std::vector<std::uint8_t> buffer_;
  std::uint64_t buffer_at_ = 0;
  std::size_t buffered_ = 0;
};

// The segments of a log in order.
struct SegmentName {
  std::string name;
  std::uint64_t first_seq = 0;
};
Result<std::vector<SegmentName>> list_segments(LogStorage& storage);

}  // namespace tally::audit
