// SQLite's default VFS, except that writes or syncs fail from the n-th on: a disk that breaks.
#pragma once

#include <atomic>
#include <string>

namespace tally::testing {

struct DiskFaults {
  std::atomic<long> writes_left{-1};  // −1: any number; at 0 every write fails
  std::atomic<long> syncs_left{-1};
  std::atomic<bool> full{false};  // fail as a full disk does, not as a broken one
  std::string heal_when_missing;  // writes work again once this file is gone
  std::atomic<long> syncs{0};     // how many there were
};

// Registers the VFS "tally-failing" on first use. One for the process: tests run one by one.
DiskFaults& disk_faults();

}  // namespace tally::testing
