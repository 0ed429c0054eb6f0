#include "tally/audit/log_tail.hpp"

#include <algorithm>
#include <utility>

#include "tally/audit/record_source.hpp"

#include "segment_reader.hpp"

namespace tally::audit {

LogTail::LogTail(std::unique_ptr<LogStorage> storage, std::uint64_t next)
    : storage_(std::move(storage)), next_(next) {}

// The last segment that begins at or before the next record, or the first one there is.
Result<void> LogTail::find_segment() {
  const auto segments = list_segments(*storage_);
  if (!segments) return tl::unexpected(segments.error());
  if (segments->empty()) {
    return fail(
        ErrorKind::unavailable, {"audit.tail-unreadable", {{"seq", std::to_string(next_)}}}
    );
  }
  auto behind = std::find_if(segments->begin(), segments->end(), [this](const SegmentName& one) {
    return one.first_seq > next_;
  });
  if (behind != segments->begin()) --behind;
  segment_ = behind->name;
  offset_ = 0;
  first_of_frame_ = behind->first_seq;
  next_ = std::max(next_, first_of_frame_);
  return {};
}

Result<void> LogTail::read(std::uint64_t end, std::size_t most, const EachRecord& each) {
  std::size_t given = 0;
  bool moved = false;  // looked for the segment again, without a record from it yet
  while (given < most && next_ < end) {
    if (segment_.empty()) {
      if (auto found = find_segment(); !found) return found;
    }
    // Opened anew each time: the file has grown, and may have been pruned.
    auto reader = SegmentReader::open(*storage_, segment_);
    while (reader && given < most && next_ < end) {
      const auto frame = reader->frame_at(offset_);
      if (!frame) return tl::unexpected(frame.error());
      if (frame->state != FrameState::valid || frame->first_seq != first_of_frame_) break;
      std::uint64_t seq = first_of_frame_;
      for (const FrameRecord& record : frame->records) {
        if (seq++ < next_) continue;
        if (given == most || next_ == end) break;
        const auto view = view_record(record.text);
        if (!view) return tl::unexpected(view.error());
        each(*view);
        ++next_;
        ++given;
        moved = false;
      }
      if (next_ < first_of_frame_ + frame->count) break;
      offset_ += frame->length;
      first_of_frame_ += frame->count;
    }
    if (given == most || next_ >= end) break;
    // Behind the end of this segment another one begins; the same one again leads nowhere.
    if (std::exchange(moved, true)) {
      return fail(
          ErrorKind::unavailable, {"audit.tail-unreadable", {{"seq", std::to_string(next_)}}}
      );
    }
    segment_.clear();
  }
  return {};
}

}  // namespace tally::audit
