#include "below_snapshot.hpp"

#include <algorithm>

#include "tally/audit/tiles.hpp"

#include "log_format.hpp"

namespace tally::audit {

std::vector<SegmentName>::const_iterator goes_on_in(
    const std::vector<SegmentName>& segments, const LogState& state
) {
  const auto begins = [&segments](std::uint64_t seq) {
    return std::find_if(segments.begin(), segments.end(), [seq](const SegmentName& one) {
      return one.first_seq == seq;
    });
  };
  const auto same = begins(state.segments.back());
  return same != segments.end() ? same : begins(state.chain.size());
}

tl::unexpected<Error> BelowSnapshot::unfit(std::string_view why) const {
  return fail(
      ErrorKind::conflict,
      {"audit.snapshot-unfit",
       {{"why", std::string(why)}, {"size", std::to_string(state_.chain.size())}}}
  );
}

Result<void> BelowSnapshot::check_place(const std::vector<SegmentName>& segments) const {
  if (segments.empty()) return unfit("segment");
  // Whether what is missing in front was pruned is seen when the log's records were read.
  const auto front =
      std::find(state_.segments.begin(), state_.segments.end(), segments.front().first_seq);
  if (front == state_.segments.end() && segments.front().first_seq == state_.chain.size()) {
    return {};
  }
  auto known = static_cast<std::size_t>(front - state_.segments.begin());
  for (const SegmentName& segment : segments) {
    if (segment.first_seq >= state_.chain.size()) break;
    const bool same = known < state_.segments.size() && segment.first_seq == state_.segments[known];
    if (!same) return unfit("segment");
    ++known;
  }
  if (known != state_.segments.size()) return unfit("segment");
  auto reader = SegmentReader::open(storage_, segment_name(state_.segments.back()));
  if (!reader) return fail(std::move(reader));
  auto frame = reader->frame_at(state_.frame);
  if (!frame) return fail(std::move(frame));
  const bool there = frame->state == FrameState::valid &&
                     state_.frame + frame->length == state_.end &&
                     frame->first_seq + frame->count == state_.chain.size();
  if (!there || leaf_hash(frame->records.back().text) != state_.chain.leaf()) return unfit("leaf");
  return {};
}

Result<void> BelowSnapshot::check_tiles() const {
  const auto names = storage_.list();
  if (!names) return tl::unexpected(names.error());
  for (unsigned level = 0; level < tile_levels; ++level) {
    const std::uint64_t wanted = hashes_at(level, state_.tiles.size()) * sizeof(Digest);
    if (wanted == 0) continue;
    const std::string name = level_file(level);
    if (!std::binary_search(names->begin(), names->end(), name)) return unfit("tile");
    auto file = storage_.open(name, false);
    if (!file) return fail(std::move(file));
    const auto size = (*file)->size();
    if (!size) return tl::unexpected(size.error());
    if (*size < wanted) return unfit("tile");
  }
  const auto found = root(state_.tiles.size());
  if (!found || *found != state_.tiles.root()) return unfit("tile");
  return {};
}

Result<Digest> BelowSnapshot::leaf(std::uint64_t seq) const {
  auto bytes = hashes(0, seq, 1);
  if (!bytes) return fail(std::move(bytes));
  Digest digest{};
  std::copy(bytes->begin(), bytes->end(), digest.begin());
  return digest;
}

Result<Digest> BelowSnapshot::root(std::uint64_t size) const {
  const LevelHashes levels = [this](unsigned level, std::uint64_t first, std::size_t count) {
    return hashes(level, first, count);
  };
  return tree_root(size, stored_in_tiles(levels));
}

Result<Bytes> BelowSnapshot::hashes(unsigned level, std::uint64_t first, std::size_t count) const {
  const std::uint64_t stored = hashes_at(level, state_.tiles.size());
  Bytes bytes;
  if (first < stored) {
    auto file = storage_.open(level_file(level), false);
    if (!file) return fail(std::move(file));
    bytes.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(count, stored - first)) * sizeof(Digest)
    );
    const auto got = (*file)->read_at(first * sizeof(Digest), bytes);
    if (!got) return tl::unexpected(got.error());
    if (*got != bytes.size()) return unfit("tile");
  }
  while (bytes.size() < count * sizeof(Digest)) {
    const std::uint64_t at = first + bytes.size() / sizeof(Digest) - stored;
    if (level != 0 || at >= state_.edge.size()) return unfit("tile");
    const Digest& hash = state_.edge[static_cast<std::size_t>(at)];
    bytes.insert(bytes.end(), hash.begin(), hash.end());
  }
  return bytes;
}

}  // namespace tally::audit
