// The valid frames of a segment, read, checked and with the hashes of their records, a megabyte
// ahead of who takes them: the part of a verification that needs nothing of what came before.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "tally/audit/helper.hpp"
#include "tally/audit/log_storage.hpp"

#include "log_format.hpp"

namespace tally::audit {

struct HashedFrame {
  Frame frame;                 // valid
  std::vector<Digest> leaves;  // of its records
};

class FramesAhead {
 public:
  // Reads `file` from its beginning on. `helper` must outlive it, and is its alone.
  FramesAhead(Helper& helper, std::unique_ptr<LogFile> file);
  ~FramesAhead();
  FramesAhead(const FramesAhead&) = delete;
  FramesAhead& operator=(const FramesAhead&) = delete;

  // The next frame, if it is the one at `offset`; lives until the next call. Null: there is no
  // valid one, or it could not be read; what it is a SegmentReader says, and this ends here.
  const HashedFrame* next(std::uint64_t offset);
  // Leaves the file alone from now on. What next() gave last stays.
  void stop();

 private:
  struct Stretch {
    Bytes bytes;
    std::vector<HashedFrame> frames;
    std::uint64_t end = 0;  // behind the last of them
  };
  void begin(std::uint64_t offset);
  void read(std::uint64_t offset, Stretch& into);

  Helper& helper_;
  std::unique_ptr<LogFile> file_;
  std::array<Stretch, 2> stretches_;
  std::size_t current_ = 0;  // the other one is being read
  std::size_t taken_ = 0;    // frames of the current one
  bool stopped_ = false;
};

}  // namespace tally::audit
