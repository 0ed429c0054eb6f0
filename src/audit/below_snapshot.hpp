// What can be known of the log below a snapshot without reading its records: the record at the
// snapshot's end, and the side files, which were made durable before the snapshot.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tally/audit/log_storage.hpp"

#include "log_state.hpp"
#include "segment_reader.hpp"

namespace tally::audit {

// Where the records behind the snapshot are read on: its last segment or, when that was pruned, the
// one behind it. The end of `segments`: neither is there.
std::vector<SegmentName>::const_iterator goes_on_in(
    const std::vector<SegmentName>& segments, const LogState& state
);

// Errors of all of these: conflict audit.snapshot-unfit, unavailable.
class BelowSnapshot {
 public:
  // Both outlive it.
  BelowSnapshot(LogStorage& storage, const LogState& state) : storage_(storage), state_(state) {}

  [[nodiscard]] tl::unexpected<Error> unfit(std::string_view why) const;

  // The segments are those that the snapshot knows, but for leading ones that may have been pruned,
  // and its last record stands where it says, if that was not.
  [[nodiscard]] Result<void> check_place(const std::vector<SegmentName>& segments) const;
  // The side files have every hash of the full tiles, and lead to the root of these.
  [[nodiscard]] Result<void> check_tiles() const;

  // Of a record and of a tree below the snapshot.
  [[nodiscard]] Result<Digest> leaf(std::uint64_t seq) const;
  [[nodiscard]] Result<Digest> root(std::uint64_t size) const;

 private:
  [[nodiscard]] Result<Bytes> hashes(unsigned level, std::uint64_t first, std::size_t count) const;

  LogStorage& storage_;
  const LogState& state_;
};

}  // namespace tally::audit
