// What the system says of this process. Read from /proc, in microseconds; what cannot be read is 0.
#pragma once

#include <cstdint>

namespace tally::daemon {

struct ProcessFigures {
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  double cpu_seconds = 0;  // of all threads, user and system
  double started = 0;      // seconds since 1970
  std::uint64_t descriptors = 0;
  std::uint64_t most_descriptors = 0;
};

ProcessFigures process_figures();

}  // namespace tally::daemon
