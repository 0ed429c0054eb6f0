#include "tally/core/rate_limiter.hpp"

#include <string>

#include <gtest/gtest.h>

namespace tally {
namespace {

constexpr Instant start{1'000'000, 0};

int taken(RateLimiter& limiter, const std::string& key, int times, Instant now) {
  int count = 0;
  for (int i = 0; i < times; ++i) count += limiter.take(key, now) == 0 ? 1 : 0;
  return count;
}

TEST(RateLimiter, GivesSoManyAtOnceAndThenTheRate) {
  RateLimiter limiter({10, 5});
  EXPECT_EQ(taken(limiter, "a", 20, start), 5);
  EXPECT_EQ(limiter.take("a", start), milliseconds(100));
  EXPECT_EQ(limiter.take("a", start + milliseconds(40)), milliseconds(60));
  EXPECT_EQ(limiter.take("a", start + milliseconds(100)), 0);
  EXPECT_EQ(taken(limiter, "a", 20, start + milliseconds(400)), 3);
  // Rested, it is as at the start, and no more.
  EXPECT_EQ(taken(limiter, "a", 20, start + seconds(3600)), 5);
}

TEST(RateLimiter, HoldsTheRateOverTime) {
  RateLimiter limiter({1000, 10});
  int count = 0;
  for (int i = 0; i < 40'000; ++i) count += taken(limiter, "a", 1, start + i * 100'000L);
  EXPECT_NEAR(count, 4'000 + 10, 1);
}

TEST(RateLimiter, RefusalsPutNothingOff) {
  RateLimiter limiter({1, 1});
  EXPECT_EQ(limiter.take("a", start), 0);
  for (int i = 0; i < 1000; ++i) EXPECT_GT(limiter.take("a", start + milliseconds(999)), 0);
  EXPECT_EQ(limiter.take("a", start + seconds(1)), 0);
}

TEST(RateLimiter, KeysAreApart) {
  RateLimiter limiter({1, 2});
  EXPECT_EQ(taken(limiter, "a", 9, start), 2);
  EXPECT_EQ(taken(limiter, "b", 9, start), 2);
}

TEST(RateLimiter, InventedKeysShareOneBucketAndTakeNothingFromThoseKnown) {
  RateLimiter limiter({1, 3}, 4);
  for (const auto* known : {"a", "b", "c", "d"}) EXPECT_EQ(limiter.take(known, start), 0);
  int strangers = 0;
  for (int i = 0; i < 1000; ++i) strangers += taken(limiter, "new" + std::to_string(i), 1, start);
  EXPECT_EQ(strangers, 3);
  EXPECT_EQ(limiter.keys(), 4);
  EXPECT_EQ(taken(limiter, "a", 9, start), 2);
}

TEST(RateLimiter, KeysThatRestMakeRoom) {
  RateLimiter limiter({1, 3}, 4);
  for (const auto* known : {"a", "b", "c", "d"}) limiter.take(known, start);
  taken(limiter, "d", 2, start);
  const Instant later = start + milliseconds(1500);
  EXPECT_EQ(taken(limiter, "e", 9, later), 3);
  EXPECT_EQ(limiter.keys(), 2);  // "d" is not full yet
  EXPECT_EQ(taken(limiter, "d", 9, later), 1);
}

TEST(RateLimiter, AClockSetBackCostsOneBucketAtMost) {
  RateLimiter limiter({10, 5});
  taken(limiter, "a", 5, start + seconds(86'400));
  EXPECT_EQ(limiter.take("a", start), milliseconds(100));
  EXPECT_EQ(limiter.take("a", start + milliseconds(100)), 0);
}

}  // namespace
}  // namespace tally
