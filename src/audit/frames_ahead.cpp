#include "frames_ahead.hpp"

#include "tally/audit/record.hpp"

namespace tally::audit {
namespace {
constexpr std::size_t stretch_bytes = 1 << 20;
static_assert(stretch_bytes >= frame_most_bytes);
}  // namespace

FramesAhead::FramesAhead(Helper& helper, std::unique_ptr<LogFile> file)
    : helper_(helper), file_(std::move(file)) {
  begin(0);
}

FramesAhead::~FramesAhead() {
  helper_.wait();
}

void FramesAhead::stop() {
  helper_.wait();
  stopped_ = true;
}

const HashedFrame* FramesAhead::next(std::uint64_t offset) {
  if (stopped_) return nullptr;
  if (taken_ == stretches_[current_].frames.size()) {
    helper_.wait();
    current_ = 1 - current_;
    taken_ = 0;
    const Stretch& read = stretches_[current_];
    if (!read.frames.empty()) begin(read.end);
  }
  const Stretch& current = stretches_[current_];
  if (current.frames.empty() || current.frames[taken_].frame.offset != offset) {
    stop();
    return nullptr;
  }
  return &current.frames[taken_++];
}

void FramesAhead::begin(std::uint64_t offset) {
  helper_.begin([this, offset, &into = stretches_[1 - current_]] { read(offset, into); });
}

// On the helper.
void FramesAhead::read(std::uint64_t offset, Stretch& into) {
  into.frames.clear();
  into.end = offset;
  into.bytes.resize(stretch_bytes);
  const auto got = file_->read_at(offset, into.bytes);
  if (!got) return;
  auto rest = std::span<const std::uint8_t>(into.bytes).first(*got);
  for (;;) {
    const std::size_t length = frame_length(rest);
    if (length == 0 || length > rest.size()) return;  // damaged, zeros, or cut off by the stretch
    HashedFrame next{parse_frame(rest, into.end), {}};
    if (next.frame.state != FrameState::valid) return;
    next.leaves.reserve(next.frame.records.size());
    for (const FrameRecord& record : next.frame.records) {
      next.leaves.push_back(leaf_hash(record.text));
    }
    into.frames.push_back(std::move(next));
    into.end += length;
    rest = rest.subspan(length);
  }
}

}  // namespace tally::audit
