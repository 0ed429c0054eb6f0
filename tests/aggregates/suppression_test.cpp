// What of an answer is hidden: as cases, and as what must hold of random forests.
#include "aggregates/suppression.hpp"

#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace tally::aggregates {
namespace {

// Rows of groups of one level and of what holds them all.
Grouping whole_with(const std::vector<std::size_t>& sizes) {
  Grouping out(1);
  std::uint32_t next = 0;
  for (const auto size : sizes) {
    Group group;
    group.level = 1;
    group.key = {static_cast<std::int64_t>(out.size())};
    group.parent = 0;
    for (std::size_t i = 0; i < size; ++i) group.rows.push_back(next++);
    out[0].rows.insert(out[0].rows.end(), group.rows.begin(), group.rows.end());
    out.push_back(std::move(group));
  }
  return out;
}

struct Case {
  std::vector<std::size_t> sizes;
  std::vector<bool> shown;  // the whole first
};

TEST(Suppression, OfAWholeAndItsParts) {
  const std::vector<Case> cases = {
      {{50, 47, 10}, {true, true, true, true}},
      {{50, 47, 3}, {true, true, false, false}},  // 3 would be the whole less the others
      {{50, 4, 8}, {true, true, false, false}},   // 12 together
      {{50, 47, 3, 2}, {true, true, false, false, false}},
      {{9}, {false, false}},
      {{3, 3}, {false, false, false}},
      {{6, 6}, {true, false, false}},
      {{20, 1}, {true, false, false}},
      {{}, {false}},
  };
  for (const auto& one : cases) {
    auto groups = whole_with(one.sizes);
    suppress(groups, {10, true});
    std::vector<bool> shown;
    for (const auto& group : groups) shown.push_back(group.shown);
    EXPECT_EQ(shown, one.shown) << ::testing::PrintToString(one.sizes);
  }
  auto groups = whole_with({50, 47, 3});
  suppress(groups, {10, false});
  EXPECT_TRUE(groups[2].shown) << "the control run: nothing secondary is hidden";
}

// A group of two levels whose whole is hidden must not come back as the sum of its parts.
TEST(Suppression, AHiddenGroupIsHiddenWithItsParts) {
  auto groups = whole_with({30, 3, 24});
  for (const auto& [from, to] : {std::pair{33U, 45U}, std::pair{45U, 57U}}) {
    Group part;
    part.level = 2;
    part.parent = 3;
    for (auto i = from; i < to; ++i) part.rows.push_back(i);
    groups.push_back(std::move(part));
  }
  suppress(groups, {10, true});
  EXPECT_TRUE(groups[0].shown);
  EXPECT_TRUE(groups[1].shown);
  EXPECT_FALSE(groups[2].shown);
  EXPECT_FALSE(groups[3].shown);
  EXPECT_FALSE(groups[4].shown);
  EXPECT_FALSE(groups[5].shown);
}

TEST(Suppression, AColumnThatAFewLackIsHidden) {
  Grouping groups(3);
  const std::size_t present[] = {20, 18, 0};
  for (std::size_t i = 0; i < 3; ++i) {
    groups[i].rows.resize(20);
    std::iota(groups[i].rows.begin(), groups[i].rows.end(), static_cast<std::uint32_t>(20 * i));
    groups[i].present = {RowSet(
        groups[i].rows.begin(), groups[i].rows.begin() + static_cast<std::ptrdiff_t>(present[i])
    )};
    groups[i].column_shown = {true};
  }
  suppress(groups, {5, true});
  EXPECT_TRUE(groups[0].column_shown[0]);
  EXPECT_FALSE(groups[1].column_shown[0]);  // that two lack it would be told
  EXPECT_TRUE(groups[2].column_shown[0]);   // that nobody of twenty has it may be
  EXPECT_TRUE(groups[1].shown);
}

// Whatever the sizes: what is shown of the whole and its parts leaves none or enough.
TEST(Suppression, WhatIsLeftOverIsNoneOrEnough) {
  std::mt19937 random(5);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::size_t> sizes(random() % 8);
    for (auto& size : sizes) size = random() % 15;
    auto groups = whole_with(sizes);
    const std::size_t least = 2 + random() % 8;
    suppress(groups, {least, true});
    std::size_t hidden = 0;
    for (std::size_t i = 1; i < groups.size(); ++i) {
      if (groups[i].shown) {
        EXPECT_GE(groups[i].rows.size(), least);
      } else {
        hidden += groups[i].rows.size();
      }
    }
    if (groups[0].shown) EXPECT_TRUE(hidden == 0 || hidden >= least);
  }
}

}  // namespace
}  // namespace tally::aggregates
