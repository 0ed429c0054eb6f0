#include "tally/core/counting.hpp"

#include <thread>

#include <gtest/gtest.h>

namespace tally {
namespace {

TEST(Counters, NothingIsLostUnderParallelCounting) {
  constexpr std::size_t threads = 12;  // more than there are copies of the cells
  constexpr std::uint64_t rounds = 20'000;
  Counters counters(19);
  std::vector<std::thread> running;
  for (std::size_t t = 0; t < threads; ++t) {
    running.emplace_back([&counters] {
      for (std::uint64_t i = 0; i < rounds; ++i) {
        counters.add(0);
        counters.add(18, 3);
      }
    });
  }
  for (auto& thread : running) thread.join();
  const auto read = counters.read();
  ASSERT_EQ(read.size(), 19U);
  EXPECT_EQ(read[0], threads * rounds);
  EXPECT_EQ(read[18], threads * rounds * 3);
  for (std::size_t i = 1; i < 18; ++i) EXPECT_EQ(read[i], 0U) << i;
}

TEST(Histogram, AValueOnABoundBelongsBelowIt) {
  Histogram histogram({10, 100});
  for (const std::uint64_t value : {0U, 10U, 11U, 100U, 101U, 5000U}) histogram.observe(value);
  const auto read = histogram.read();
  EXPECT_EQ(read.bounds, (std::vector<std::uint64_t>{10, 100}));
  EXPECT_EQ(read.counts, (std::vector<std::uint64_t>{2, 2, 2}));
  EXPECT_EQ(read.sum, 5222U);
}

TEST(Histogram, DurationBoundsAscend) {
  const auto bounds = duration_bounds();
  EXPECT_EQ(bounds.front(), 100'000U);
  EXPECT_EQ(bounds.back(), 10'000'000'000U);
  for (std::size_t i = 1; i < bounds.size(); ++i) EXPECT_LT(bounds[i - 1], bounds[i]);
}

}  // namespace
}  // namespace tally
