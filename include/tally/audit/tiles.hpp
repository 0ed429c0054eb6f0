// The log as static files (C2SP tlog-tiles): which file holds which hashes, under which path, and
// what is in it. A tile is 256 neighbouring hashes of one tile level; tile level L is level 8·L of
// the tree.
//
// Pure: hashes come in through a function. Free functions and values, safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/tree.hpp"

namespace tally::audit {

constexpr unsigned tile_width = 256;  // hashes or entries in a full tile or bundle
constexpr unsigned tile_levels = 8;   // tile levels of the largest tree
constexpr std::size_t most_entry_bytes = (1 << 16) - 1;  // the length is a u16

// The name of a tile of hashes, or of a bundle of entries (then the level is 0).
struct Tile {
  bool entries = false;
  unsigned level = 0;
  std::uint64_t index = 0;
  unsigned width = tile_width;  // 1 … 255: a partial one

  // The first hash of it, counted in its level, and the one behind the last.
  [[nodiscard]] std::uint64_t begin() const { return index * tile_width; }
  [[nodiscard]] std::uint64_t end() const { return begin() + width; }
  // How many records a tree must have for this tile to be in it.
  [[nodiscard]] std::uint64_t size_needed() const { return end() << (8 * level); }
  bool operator==(const Tile&) const = default;
};

// "tile/0/x001/x234/067", "tile/entries/000.p/17". Precondition: the tile is in some tree.
std::string tile_path(const Tile& tile);
// Exactly what `tile_path` writes, and nothing else. Errors: invalid audit.tile-path; also for a
// tile that no tree of at most most_tree_size has.
Result<Tile> parse_tile_path(std::string_view path);

// How many hashes tile level `level` (below tile_levels) has in a tree of `size`.
std::uint64_t hashes_at(unsigned level, std::uint64_t size);
// The tile at a place of the tree of `size`: full, partial, or nullopt where there is none.
std::optional<Tile> tile_at(unsigned level, std::uint64_t index, std::uint64_t size);

// `count` neighbouring hashes of tile level `level` from `first` on, 32 bytes each, as a flat file
// holds them.
using LevelHashes =
    std::function<Result<Bytes>(unsigned level, std::uint64_t first, std::size_t count)>;

// The bytes of a tile of hashes. Precondition: not a bundle. Errors: those of `levels`, and
// internal audit.tile-bytes when it hands out another number of bytes.
Result<Bytes> tile_content(const Tile& tile, const LevelHashes& levels);
// The hashes of a tile that came from elsewhere. Errors: invalid audit.tile-bytes (length).
Result<std::vector<Digest>> parse_tile(std::span<const std::uint8_t> bytes, unsigned width);

// What proofs are made from, when only every eighth level of the tree is stored: a subtree between
// two of them is hashed from at most 128 neighbours, all within one tile. `levels` must outlive it.
SubtreeHash stored_in_tiles(const LevelHashes& levels);

// The records of a bundle, each behind its length. Errors: invalid audit.bundle-malformed (none or
// more than 256, or one too long).
Result<Bytes> encode_bundle(std::span<const std::string_view> entries);
// Exactly `width` entries and not a byte more; they point into `bytes`. Errors: as above.
Result<std::vector<std::string_view>> decode_bundle(std::string_view bytes, unsigned width);

}  // namespace tally::audit
