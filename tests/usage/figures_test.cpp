// What the enforcement point tells of itself in numbers.
#include <gtest/gtest.h>

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::limit;
using test::policy;
using test::Rig;
using test::terms;

std::uint64_t observed(const Histogram::Reading& read) {
  std::uint64_t all = 0;
  for (const auto count : read.counts) all += count;
  return all;
}

TEST(Figures, ActsAreCountedByActionAndOutcomeAndRefusalsByReason) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({limit(2)}))));
  for (const char* key : {"one", "one", "two", "three", "four"}) {
    ASSERT_TRUE(rig.authorise(act("urn:test:a", key)));
  }
  const auto figures = rig.enforcer->figures(10);
  ASSERT_EQ(figures.actions.size(), 1U);
  const auto& read = figures.actions.at("read");
  EXPECT_EQ(read.permitted, 2U);
  EXPECT_EQ(read.continued, 1U);
  EXPECT_EQ(read.refused, 2U);
  EXPECT_EQ(figures.refusals, (std::map<std::string, std::uint64_t>{{"usage.limit-reached", 2}}));
  EXPECT_EQ(figures.unrecorded, 0U);
  EXPECT_EQ(observed(figures.taken), 5U);
  ASSERT_EQ(figures.left.size(), 1U);
  EXPECT_EQ(figures.left[0].uses, 0);
  // Numbers are of this process: after a restart they begin anew, but for what the ledger has.
  rig.stop();
  rig.start();
  const auto later = rig.enforcer->figures(10);
  EXPECT_TRUE(later.actions.empty());
  ASSERT_EQ(later.left.size(), 1U);
  EXPECT_EQ(later.left[0].uses, 0);
}

TEST(Figures, ADecisionThatTheLogDoesNotTakeIsCountedAsNothing) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array())));
  rig.disk.fail_sync(1, true);
  EXPECT_FALSE(rig.authorise(act("urn:test:a")));
  const auto figures = rig.enforcer->figures(10);
  EXPECT_EQ(figures.unrecorded, 1U);
  EXPECT_EQ(observed(figures.taken), 0U);
}

TEST(Figures, WordsOfNoVocabularyShareOneName) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array())));
  for (const char* word : {"urn:somebody:word", "urn:somebody:other"}) {
    auto wanted = act("urn:test:a");
    wanted.action = word;
    ASSERT_TRUE(rig.authorise(std::move(wanted)));
  }
  const auto figures = rig.enforcer->figures(10);
  ASSERT_EQ(figures.actions.size(), 1U);
  EXPECT_EQ(figures.actions.at("other").refused, 2U);
}

TEST(Figures, TheFewestUsesLeftAreTold) {
  Rig rig;
  rig.start();
  for (int i = 0; i < 40; ++i) {
    rig.agree(terms("urn:test:" + std::to_string(i), policy(Json::array({limit(100 - i)}))));
  }
  rig.agree(terms("urn:test:unlimited", policy(Json::array())));
  const auto figures = rig.enforcer->figures(3);
  ASSERT_EQ(figures.left.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(figures.left[i].uses, 61 + static_cast<std::int64_t>(i));
    EXPECT_EQ(figures.left[i].agreement.value, "urn:test:" + std::to_string(39 - i));
    EXPECT_EQ(figures.left[i].rule.value, test::rule_id);
  }
  EXPECT_EQ(figures.agreements[0], 41U);
}

TEST(Figures, WhatIsOverdueIsCountedUntilTheAgreementIsOver) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array())));
  const AgreementId agreement("urn:test:a");
  rig.enforcer->set_overdue(agreement, {RuleId("urn:one"), RuleId("urn:two")});
  EXPECT_EQ(rig.enforcer->figures(10).duties_overdue, 2U);
  ASSERT_TRUE(rig.enforcer->shut(agreement, Closed::terminated));
  const auto figures = rig.enforcer->figures(10);
  EXPECT_EQ(figures.duties_overdue, 0U);
  EXPECT_EQ(figures.agreements[static_cast<std::size_t>(Closed::terminated)], 1U);
  EXPECT_TRUE(figures.left.empty());
}

}  // namespace
}  // namespace tally::usage
