// Where records stand in the segments, every 256th exactly: found when somebody first asks for a
// record of a segment, and kept. Any thread; blocks for reads.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "tally/audit/log_storage.hpp"

namespace tally::audit {

// The frame at `offset` of the segment that begins with record `segment`.
struct RecordPlace {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
};

class RecordPlaces {
 public:
  // A frame that the record is in, or that stands at most 256 records before it. Errors:
  // not_found audit.entries-pruned {seq, first}: the log begins behind it; unavailable, also for a
  // record that is in no segment.
  Result<RecordPlace> of(LogStorage& storage, std::uint64_t seq);

 private:
  // A segment as far as it was looked through.
  struct Known {
    std::vector<std::uint64_t> frames;  // with its first record, and each that 256 divides
    std::uint64_t next_seq = 0;
    std::uint64_t end = 0;  // behind the last frame
  };

  std::mutex mutex_;  // held over the reads: only who asks for entries waits
  std::map<std::uint64_t, Known> known_;
};

}  // namespace tally::audit
