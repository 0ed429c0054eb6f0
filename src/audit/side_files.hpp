// The hashes of the tree's tile levels as flat files beside the segments (L0, L1, …), compared with
// what the records say. The records are the truth: whatever is missing or wrong in these files is
// made again from them, so they are never synced and never trusted.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "tally/audit/log_storage.hpp"
#include "tally/audit/tiles.hpp"

namespace tally::audit {

// A hash in a side file that is there and is not what the records say.
struct WrongHash {
  unsigned level = 0;
  std::uint64_t index = 0;
};

// Grows the tree record by record and reads the side files along with it. Changes nothing. A file
// that cannot be read counts as missing from there on.
class SideFileCheck {
 public:
  // From a tree on whose hashes the files hold for certain.
  explicit SideFileCheck(LogStorage& storage, Frontier tree = {});

  void append(const Digest& leaf);
  // Compares what is still buffered. Call it once, behind the last record.
  void finish();

  [[nodiscard]] const Frontier& tree() const { return tree_; }
  // For each tile level how many leading hashes its file holds as they must be.
  [[nodiscard]] const std::array<std::uint64_t, tile_levels>& good() const { return good_; }
  // The first wrong hash in the order of levels; nullopt when what is there is right.
  [[nodiscard]] std::optional<WrongHash> wrong() const;

 private:
  struct Level {
    std::unique_ptr<LogFile> file;  // null: missing, or nothing more to compare
    Bytes expected;                 // behind what was compared
    std::optional<std::uint64_t> wrong;
  };
  void compare(unsigned level);

  Frontier tree_;
  std::array<Level, tile_levels> levels_;
  std::array<std::uint64_t, tile_levels> good_{};
};

}  // namespace tally::audit
