#include "record_places.hpp"

#include <algorithm>

#include "tally/audit/tiles.hpp"

#include "log_format.hpp"
#include "segment_reader.hpp"

namespace tally::audit {

Result<RecordPlace> RecordPlaces::of(LogStorage& storage, std::uint64_t seq) {
  const auto segments = list_segments(storage);
  if (!segments) return tl::unexpected(segments.error());
  auto behind = std::find_if(segments->begin(), segments->end(), [seq](const SegmentName& one) {
    return one.first_seq > seq;
  });
  const auto absent = [](const std::string& file) {
    return fail(
        ErrorKind::unavailable,
        {"audit.file-failed", {{"file", file}, {"action", "read"}, {"reason", "EOF"}}}
    );
  };
  if (segments->empty()) return absent(segment_name(seq));
  if (behind == segments->begin()) {
    return fail(
        ErrorKind::not_found,
        {"audit.entries-pruned",
         {{"seq", std::to_string(seq)}, {"first", std::to_string(behind->first_seq)}}}
    );
  }
  const SegmentName& segment = *std::prev(behind);

  const std::scoped_lock lock(mutex_);
  Known& known = known_[segment.first_seq];
  if (known.frames.empty()) known.next_seq = segment.first_seq;
  if (seq >= known.next_seq) {
    auto reader = SegmentReader::open(storage, segment.name);
    if (!reader) return fail(std::move(reader));
    while (seq >= known.next_seq) {
      const auto frame = reader->frame_at(known.end);
      if (!frame) return tl::unexpected(frame.error());
      if (frame->state != FrameState::valid || frame->first_seq != known.next_seq) {
        return absent(segment.name);
      }
      const std::uint64_t after = frame->first_seq + frame->count;
      const std::uint64_t first = segment.first_seq / tile_width;
      while (first + known.frames.size() <= (after - 1) / tile_width) {
        known.frames.push_back(known.end);
      }
      known.next_seq = after;
      known.end += frame->length;
    }
  }
  const std::uint64_t at = seq / tile_width - segment.first_seq / tile_width;
  return RecordPlace{segment.first_seq, known.frames[static_cast<std::size_t>(at)]};
}

}  // namespace tally::audit
