// The hashes between the stored levels, kept for the tiles that were asked for last.
#include "tile_nodes.hpp"

#include <string>

#include <gtest/gtest.h>

#include "audit/flat_levels.hpp"

namespace tally::audit {
namespace {

// 70,000 records: full tiles of two levels, one hash of a third.
const FlatLevels& flat_of_many() {
  static const FlatLevels flat = [] {
    FlatLevels made;
    for (int i = 0; i < 70'000; ++i) made.add(std::to_string(i));
    return made;
  }();
  return flat;
}

class TileNodesTest : public testing::Test {
 protected:
  TileNodes nodes;
  std::size_t reads = 0;
  std::size_t hashes_read = 0;
  const LevelHashes levels = [this](unsigned level, std::uint64_t first, std::size_t count) {
    ++reads;
    hashes_read += count;
    return flat_of_many().source()(level, first, count);
  };

  // All perfect subtrees of the tree of `size` records at or behind the leaf `from`.
  void expect_all(std::uint64_t size, std::uint64_t from = 0) {
    const LevelHashes source = flat_of_many().source();
    const SubtreeHash anew = stored_in_tiles(source);
    for (unsigned level = 0; size >> level > 0; ++level) {
      for (std::uint64_t index = from >> level; index < size >> level; ++index) {
        const auto kept = nodes.hash(level, index, size, levels);
        ASSERT_TRUE(kept) << level << " " << index;
        ASSERT_EQ(*kept, *anew(level, index)) << level << " " << index;
      }
    }
  }
};

TEST_F(TileNodesTest, AreThoseOfTheStoredHashes) {
  for (const std::uint64_t size : {1U, 2U, 255U, 256U, 257U, 511U, 512U, 1'000U, 3'000U}) {
    expect_all(size);
  }
  expect_all(70'000, 69'000);
  // From the end on, so that nothing is in the order in which it was hashed.
  TileNodes other;
  const LevelHashes source = flat_of_many().source();
  for (std::uint64_t i = 1'000; i-- > 0;) {
    ASSERT_EQ(*other.hash(0, i, 1'000, source), *stored_in_tiles(source)(0, i));
  }
}

TEST_F(TileNodesTest, ATileIsReadOnceAndContinuedAsItGrows) {
  for (std::uint64_t size = 513; size <= 768; ++size) {
    ASSERT_TRUE(nodes.hash(0, size - 1, size, levels));
    ASSERT_TRUE(nodes.hash(1, (size >> 1) - 1, size, levels));
  }
  EXPECT_EQ(hashes_read, 256U + 256U);  // the tile at its end, and the one before it
  const std::size_t before = reads;
  // A smaller tree than was known has the same subtrees.
  ASSERT_TRUE(nodes.hash(7, 4, 700, levels));
  ASSERT_TRUE(nodes.hash(0, 512, 513, levels));
  EXPECT_EQ(reads, before);
}

TEST_F(TileNodesTest, OnlyTheTilesAskedForLastAreKept) {
  const std::uint64_t size = 70'000;
  const auto ask = [&](std::uint64_t tile) {
    const std::size_t before = reads;
    EXPECT_TRUE(nodes.hash(0, tile * tile_width, size, levels));
    return reads - before;
  };
  for (std::uint64_t tile = 0; tile < TileNodes::most_tiles; ++tile) EXPECT_EQ(ask(tile), 1U);
  EXPECT_EQ(ask(0), 0U);
  EXPECT_EQ(ask(100), 1U);
  EXPECT_EQ(ask(0), 0U);
  EXPECT_EQ(ask(1), 1U);  // had been asked for the longest ago
}

TEST_F(TileNodesTest, WhatCannotBeReadIsAskedForAgain) {
  bool broken = true;
  const LevelHashes at_first = [&](unsigned level, std::uint64_t first, std::size_t count) {
    if (!broken) return levels(level, first, count);
    return Result<Bytes>(fail(ErrorKind::unavailable, {"test.broken", {}}));
  };
  EXPECT_EQ(nodes.hash(3, 0, 1'000, at_first).error().message.code, "test.broken");
  broken = false;
  EXPECT_TRUE(nodes.hash(3, 0, 1'000, at_first));
  // Fewer hashes than were asked for are an error, and nothing is kept of them.
  const LevelHashes shorter = [&](unsigned level, std::uint64_t first, std::size_t count) {
    return levels(level, first, count - 1);
  };
  EXPECT_EQ(nodes.hash(0, 256, 1'000, shorter).error().message.code, "audit.tile-bytes");
  EXPECT_TRUE(nodes.hash(0, 256, 1'000, levels));
  // Beyond the tree.
  EXPECT_FALSE(nodes.hash(0, 1'000, 1'000, levels));
  EXPECT_FALSE(nodes.hash(8, 3, 1'000, levels));
}

}  // namespace
}  // namespace tally::audit
