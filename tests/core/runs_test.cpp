#include "tally/core/runs.hpp"

#include <gtest/gtest.h>

namespace tally {
namespace {

TEST(Runs, OneAtATimeForEachName) {
  Runs runs;
  auto first = runs.begin("a");
  ASSERT_TRUE(first);
  EXPECT_FALSE(runs.begin("a"));
  EXPECT_TRUE(runs.begin("b"));
  auto moved = std::move(*first);
  first.reset();  // moved from: it holds nothing
  EXPECT_FALSE(runs.begin("a"));
  { const auto last = std::move(moved); }
  EXPECT_TRUE(runs.begin("a"));
}

TEST(Runs, OneThatIsStoppedKeepsItsNameUntilItEnds) {
  Runs runs;
  auto run = runs.begin("a");
  const auto flag = run->wanted_flag();
  runs.stop("b");
  EXPECT_TRUE(run->wanted());
  runs.stop("a");
  EXPECT_FALSE(run->wanted());
  EXPECT_FALSE(*flag);
  EXPECT_FALSE(runs.begin("a"));
  run->go_on();
  EXPECT_TRUE(*flag);
}

TEST(Runs, TheNewestTakesThePlace) {
  Runs runs;
  std::optional<Runs::Run> old = runs.replace("a");
  auto fresh = runs.replace("a");
  EXPECT_FALSE(old->wanted());
  EXPECT_TRUE(fresh.wanted());
  // The end of the old one takes nothing from the new one.
  old.reset();
  EXPECT_FALSE(runs.begin("a"));
  EXPECT_TRUE(fresh.wanted());
}

TEST(Runs, ARunMayOutliveItsOwner) {
  auto runs = std::make_unique<Runs>();
  std::optional<Runs::Run> run = runs->begin("a");
  runs.reset();
  EXPECT_TRUE(run->wanted());
  run.reset();
}

}  // namespace
}  // namespace tally
