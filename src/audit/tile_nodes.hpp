// The hashes between the stored levels of the tree: a tile holds every eighth level, and a proof
// wants the ones between. They are kept for the tiles that were asked for last, at most 16 KiB each
// and 256 KiB in all, so that a tile is read and hashed once. A perfect subtree of a log never
// changes; a tile that was not full is continued. Any thread; no lock is held over a read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "tally/audit/tiles.hpp"
#include "tally/audit/tree.hpp"

namespace tally::audit {

class TileNodes {
 public:
  static constexpr std::size_t most_tiles = 16;

  // The hash of a perfect subtree of the tree of `size` records, which `levels` has the stored
  // hashes of. Errors: those of `levels`; internal audit.tile-bytes.
  Result<Digest> hash(
      unsigned level, std::uint64_t index, std::uint64_t size, const LevelHashes& levels
  );

 private:
  // All perfect subtrees within the first hashes of a tile; [0] are these hashes.
  using Nodes = std::array<std::vector<Digest>, 8>;
  using Name = std::pair<unsigned, std::uint64_t>;  // of a tile: its level and index
  struct Kept {
    std::shared_ptr<const Nodes> nodes;
    std::uint64_t asked = 0;
  };
  std::shared_ptr<const Nodes> find(const Name& name);
  void keep(const Name& name, const std::shared_ptr<const Nodes>& nodes);

  std::mutex mutex_;
  std::map<Name, Kept> kept_;
  std::uint64_t asked_ = 0;
};

}  // namespace tally::audit
