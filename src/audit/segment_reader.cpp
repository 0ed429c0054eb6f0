#include "segment_reader.hpp"

#include <algorithm>

namespace tally::audit {
namespace {
constexpr std::size_t window_bytes = 1 << 20;
static_assert(window_bytes >= frame_most_bytes);
}  // namespace

SegmentReader::SegmentReader(std::unique_ptr<LogFile> file, std::string name, std::uint64_t size)
    : file_(std::move(file)), name_(std::move(name)), size_(size) {}

Result<SegmentReader> SegmentReader::open(LogStorage& storage, const std::string& name) {
  auto file = storage.open(name, false);
  if (!file) return fail(std::move(file));
  auto size = (*file)->size();
  if (!size) return fail(std::move(size));
  return SegmentReader(std::move(*file), name, *size);
}

Result<std::span<const std::uint8_t>> SegmentReader::window(
    std::uint64_t offset, std::size_t bytes
) {
  if (offset >= size_) return std::span<const std::uint8_t>();
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, size_ - offset));
  if (offset < buffer_at_ || offset + wanted > buffer_at_ + buffered_) {
    const auto fill =
        static_cast<std::size_t>(std::min<std::uint64_t>(window_bytes, size_ - offset));
    if (buffer_.size() < fill) buffer_.resize(fill);
    buffered_ = 0;
    buffer_at_ = offset;
    auto got = file_->read_at(offset, std::span(buffer_).first(fill));
    if (!got) return fail(std::move(got));
    buffered_ = *got;
    if (buffered_ < fill) size_ = offset + buffered_;  // cut while we read
  }
  const auto skip = static_cast<std::size_t>(offset - buffer_at_);
  return std::span<const std::uint8_t>(buffer_).subspan(skip, buffered_ - skip);
}

Result<Frame> SegmentReader::frame_at(std::uint64_t offset) {
  auto header = window(offset, frame_header_bytes);
  if (!header) return fail(std::move(header));
  // No more than the frame has: what is read beyond it is read again with the next one.
  const std::size_t length = frame_length(*header);
  if (length == 0) {
    return parse_frame(header->first(std::min(header->size(), frame_header_bytes)), offset);
  }
  auto whole = window(offset, length);
  if (!whole) return fail(std::move(whole));
  return parse_frame(*whole, offset);
}

Result<std::optional<std::uint64_t>> SegmentReader::next_written(std::uint64_t offset) {
  while (offset < size_) {
    auto bytes = window(offset, frame_most_bytes);
    if (!bytes) return fail(std::move(bytes));
    if (bytes->empty()) break;
    if (!all_zero(*bytes)) {
      const auto found =
          std::find_if(bytes->begin(), bytes->end(), [](std::uint8_t b) { return b != 0; });
      return offset + static_cast<std::uint64_t>(found - bytes->begin());
    }
    offset += bytes->size();
  }
  return std::optional<std::uint64_t>();
}

Result<std::optional<std::uint64_t>> SegmentReader::next_valid_frame(std::uint64_t offset) {
  while (offset + frame_header_bytes <= size_) {
    auto bytes = window(offset, frame_most_bytes);
    if (!bytes) return fail(std::move(bytes));
    constexpr std::string_view magic = "TLF1";
    const std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    const std::size_t found = text.find(magic);
    if (found == std::string_view::npos) {
      if (offset + text.size() >= size_ || text.size() < magic.size()) break;
      offset += text.size() - (magic.size() - 1);
      continue;
    }
    offset += found;
    if (offset % frame_alignment == 0) {
      auto frame = frame_at(offset);
      if (!frame) return fail(std::move(frame));
      if (frame->state == FrameState::valid) return offset;
    }
    ++offset;
  }
  return std::optional<std::uint64_t>();
}

Result<Bytes> SegmentReader::read(std::uint64_t offset, std::uint64_t bytes) {
  Bytes out;
  while (bytes > 0 && offset < size_) {
    auto piece = window(offset, static_cast<std::size_t>(std::min<std::uint64_t>(bytes, 65536)));
    if (!piece) return fail(std::move(piece));
    if (piece->empty()) break;
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, piece->size()));
    out.insert(out.end(), piece->begin(), piece->begin() + static_cast<std::ptrdiff_t>(take));
    offset += take;
    bytes -= take;
  }
  return out;
}

Result<std::vector<SegmentName>> list_segments(LogStorage& storage) {
  auto names = storage.list();
  if (!names) return fail(std::move(names));
  std::vector<SegmentName> segments;
  for (std::string& name : *names) {
    if (const auto first = segment_first_seq(name)) segments.push_back({std::move(name), *first});
  }
  std::sort(segments.begin(), segments.end(), [](const SegmentName& a, const SegmentName& b) {
    return a.first_seq < b.first_seq;
  });
  return segments;
}

}  // namespace tally::audit
