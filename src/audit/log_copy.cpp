#include "tally/audit/log_copy.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "tally/audit/tiles.hpp"

#include "log_format.hpp"
#include "segment_reader.hpp"

namespace tally::audit {

namespace {

constexpr std::size_t piece_bytes = 1 << 20;
constexpr std::uint64_t all_of_it = std::numeric_limits<std::uint64_t>::max();

Result<void> copy_file(
    LogStorage& from, LogStorage& to, const std::string& name, std::uint64_t most
) {
  auto source = from.open(name, false);
  if (!source) return fail(std::move(source));
  auto target = to.create(name);
  if (!target) return fail(std::move(target));
  std::vector<std::uint8_t> piece(piece_bytes);
  for (std::uint64_t at = 0; at < most;) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(most - at, piece_bytes));
    const auto got = (*source)->read_at(at, std::span(piece).first(wanted));
    if (!got) return tl::unexpected(got.error());
    if (*got == 0) break;
    if (auto done = (*target)->write_at(at, std::span(piece).first(*got)); !done) return done;
    at += *got;
  }
  return (*target)->sync();
}

// Where the frame ends that holds the last of `size` records.
Result<std::uint64_t> end_of(LogStorage& storage, const SegmentName& segment, std::uint64_t size) {
  auto reader = SegmentReader::open(storage, segment.name);
  if (!reader) return fail(std::move(reader));
  for (std::uint64_t offset = 0;;) {
    const auto frame = reader->frame_at(offset);
    if (!frame) return tl::unexpected(frame.error());
    if (frame->state != FrameState::valid || frame->first_seq + frame->count > size) {
      return fail(
          ErrorKind::unavailable,
          {"audit.copy-short", {{"file", segment.name}, {"size", std::to_string(size)}}}
      );
    }
    offset += frame->length;
    if (frame->first_seq + frame->count == size) return offset;
  }
}

Result<void> copy_segments(LogStorage& from, LogStorage& to, const std::optional<LogMark>& at) {
  auto segments = list_segments(from);
  if (!segments) return fail(std::move(segments));
  for (auto one = segments->cbegin(); one != segments->cend(); ++one) {
    if (at && one->first_seq >= at->size) break;
    const auto next = one + 1;
    std::uint64_t most = all_of_it;
    if (at && (next == segments->cend() || next->first_seq >= at->size)) {
      const auto end = end_of(from, *one, at->size);
      if (!end) return tl::unexpected(end.error());
      most = *end;
    }
    if (auto done = copy_file(from, to, one->name, most); !done) return done;
  }
  return {};
}

bool is_beyond(const std::optional<Checkpoint>& checkpoint, const LogMark& at) {
  return checkpoint && checkpoint->size > at.size;
}

// The head file as it would have been then, and without a checkpoint that was released later.
Result<void> copy_head(LogStorage& from, LogStorage& to, const LogMark& at) {
  const auto text = from.read_small(head_file);
  if (!text) return tl::unexpected(text.error());
  if (!*text) return {};
  auto head = parse_head(**text);
  // As it is where it is none: whoever opens the copy refuses it.
  if (!head) return to.replace_small(head_file, **text);
  if (head->mark.size > at.size) head->mark = at;
  if (is_beyond(checkpoint_of(*head), at)) head->checkpoint.clear();
  return to.replace_small(head_file, to_text(*head));
}

// The note of the witnesses, unless it is of a log longer than the copy: they are asked again.
Result<void> copy_cosigned(LogStorage& from, LogStorage& to, const LogMark& at) {
  const auto note = from.read_small(cosigned_file);
  if (!note) return tl::unexpected(note.error());
  Head head;
  if (*note) head.checkpoint = **note;
  if (!*note || is_beyond(checkpoint_of(head), at)) return {};
  return to.replace_small(cosigned_file, **note);
}

}  // namespace

Result<void> copy_log(LogStorage& from, LogStorage& to, const std::optional<LogMark>& at) {
  const auto names = from.list();
  if (!names) return tl::unexpected(names.error());
  if (auto done = copy_segments(from, to, at); !done) return done;
  std::uint64_t hashes = at ? at->size : all_of_it;
  std::map<std::string, std::uint64_t> levels;
  for (unsigned level = 0; level < tile_levels; ++level, hashes /= tile_width) {
    levels[level_file(level)] = hashes;
  }
  for (const std::string& name : *names) {
    const bool unnamed = name.ends_with(unnamed_suffix);
    if (segment_first_seq(name) || name == lock_file || unnamed) continue;
    std::uint64_t most = all_of_it;
    if (at && (name == head_file || name == cosigned_file)) {
      const auto copy = name == head_file ? copy_head : copy_cosigned;
      if (auto done = copy(from, to, *at); !done) return done;
      continue;
    }
    if (const auto level = levels.find(name); at && level != levels.end()) {
      most = level->second * sizeof(Digest);
    }
    if (auto done = copy_file(from, to, name, most); !done) return done;
  }
  return to.sync_names();
}

}  // namespace tally::audit
