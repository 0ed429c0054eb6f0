// What a log keeps beside its segments to make proofs and tiles from.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "tally/audit/record.hpp"
#include "tally/audit/tiles.hpp"

namespace tally::audit {

// One flat run of hashes for each tile level.
struct FlatLevels {
  std::vector<Bytes> levels = std::vector<Bytes>(tile_levels);
  Frontier frontier;
  mutable std::size_t most_read = 0;

  void add(std::string_view entry) {
    frontier.append(leaf_hash(entry), [this](const Subtree& subtree) {
      if (subtree.level % 8 != 0) return;
      Bytes& level = levels[subtree.level / 8];
      level.insert(level.end(), subtree.hash.begin(), subtree.hash.end());
    });
  }
  [[nodiscard]] LevelHashes source() const {
    return [this](unsigned level, std::uint64_t first, std::size_t count) -> Result<Bytes> {
      most_read = std::max(most_read, count);
      const auto begin = levels.at(level).begin() + static_cast<std::ptrdiff_t>(first * 32);
      return Bytes(begin, begin + static_cast<std::ptrdiff_t>(count * 32));
    };
  }
};

}  // namespace tally::audit
