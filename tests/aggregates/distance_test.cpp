// Distances as cases, and against a search through every combination with small factors.
#include "aggregates/distance.hpp"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace tally::aggregates {
namespace {

RowSet range(std::uint32_t from, std::uint32_t to) {
  RowSet out;
  for (auto i = from; i < to; ++i) out.push_back(i);
  return out;
}

RowSet both(RowSet a, const RowSet& b) {
  a.insert(a.end(), b.begin(), b.end());
  std::ranges::sort(a);
  return a;
}

struct Case {
  const char* name;
  std::vector<RowSet> sets;
  std::size_t least;
  Distance expected;
};

TEST(Distance, Cases) {
  const std::vector<Case> cases = {
      {"nothing", {}, 5, Distance::kept},
      {"one large", {range(0, 5)}, 5, Distance::kept},
      {"one small", {range(0, 4)}, 5, Distance::broken},
      {"parts of a whole", {range(0, 10), range(10, 20), range(0, 20)}, 10, Distance::kept},
      {"one less", {range(0, 20), range(1, 20)}, 5, Distance::broken},
      {"four less", {range(0, 20), range(4, 20)}, 5, Distance::broken},
      {"five less", {range(0, 20), range(5, 20)}, 5, Distance::kept},
      {"one replaced", {range(0, 20), range(1, 21)}, 5, Distance::broken},
      {"the whole less its parts",
       {range(0, 23), range(0, 10), range(10, 20)},
       5,
       Distance::broken},
      {"overlapping", {range(0, 20), range(10, 30)}, 10, Distance::kept},
      {"a tracker: two that overlap, their union and their meet less a few",
       {range(0, 20), range(10, 30), range(0, 30), range(10, 18)},
       5,
       Distance::broken},
      {"repeats", {range(0, 9), range(0, 9), range(0, 9)}, 9, Distance::kept},
      {"a union of three against the whole",
       {range(0, 10), range(10, 20), range(20, 30), range(0, 31)},
       5,
       Distance::broken},
      {"no union, only sums: each pair of three parts",
       {both(range(0, 10), range(10, 20)),
        both(range(10, 20), range(20, 22)),
        both(range(0, 10), range(20, 22))},
       5,
       Distance::broken},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(distance_of(one.sets, 100, one.least), one.expected) << one.name;
  }
}

// Two ways to part the same rows: the cells where they cross are small, and nobody can compute one.
TEST(Distance, MarginsDoNotGiveTheirCellsAway) {
  std::vector<RowSet> sets;
  constexpr std::uint32_t rows = 600;
  for (std::uint32_t of = 0; of < 12; ++of) {
    RowSet across, down;
    for (std::uint32_t i = 0; i < rows; ++i) {
      if (i % 12 == of) across.push_back(i);
      if (i / 12 % 10 == of) down.push_back(i);
    }
    sets.push_back(across);
    sets.push_back(down);
  }
  EXPECT_EQ(distance_of(sets, rows, 10), Distance::kept);
  // One cell of five rows, and it is given away.
  RowSet cell;
  for (std::uint32_t i = 0; i < rows; ++i) {
    if (i % 12 == 3 && i / 12 % 10 == 3) cell.push_back(i);
  }
  RowSet without;
  std::ranges::set_difference(range(0, rows), cell, std::back_inserter(without));
  sets.push_back(without);
  EXPECT_EQ(distance_of(sets, rows, 10), Distance::broken);
}

TEST(Distance, WhatTakesTooLongIsNotKept) {
  std::vector<RowSet> sets;
  for (std::uint32_t i = 0; i < 200; ++i) sets.push_back(range(i, i + 100));
  EXPECT_EQ(distance_of(sets, 300, 50, 1000), Distance::too_much);
}

// Whatever combination with factors from −2 to 2 has a small support has to be found out.
TEST(Distance, NoSmallCombinationIsMissed) {
  std::mt19937 random(11);
  int kept = 0;
  int broken = 0;
  for (int round = 0; round < 2000; ++round) {
    const std::size_t rows = 4 + random() % 12;
    const std::size_t count = 1 + random() % 5;
    const std::size_t least = 2 + random() % 3;
    std::vector<RowSet> sets(count);
    for (auto& set : sets) {
      for (std::uint32_t i = 0; i < rows; ++i) {
        if (random() % 2 == 0) set.push_back(i);
      }
    }
    bool small = false;
    std::size_t combinations = 1;
    for (std::size_t i = 0; i < count; ++i) combinations *= 5;
    for (std::size_t c = 0; c < combinations && !small; ++c) {
      std::vector<int> sum(rows, 0);
      auto left = c;
      for (const auto& set : sets) {
        const int factor = static_cast<int>(left % 5) - 2;
        left /= 5;
        for (const auto row : set) sum[row] += factor;
      }
      const auto support =
          static_cast<std::size_t>(std::ranges::count_if(sum, [](int v) { return v != 0; }));
      small = support > 0 && support < least;
    }
    const auto found = distance_of(sets, rows, least);
    if (small) EXPECT_EQ(found, Distance::broken) << "round " << round;
    (found == Distance::kept ? kept : broken) += 1;
  }
  EXPECT_GT(kept, 50);
  EXPECT_GT(broken, 50);
}

}  // namespace
}  // namespace tally::aggregates
