#include <gtest/gtest.h>

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::limit;
using test::outcome;
using test::policy;
using test::Rig;
using test::terms;

constexpr const char* id = "urn:test:a";

std::int64_t uses(const Rig& rig) {
  return rig.enforcer->state(AgreementId(id))->uses;
}

TEST(Usage, AnAbortGivesTheUseBackOnceItIsDurable) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(1)}))));
  const auto grant = rig.use(id);
  ASSERT_TRUE(grant);
  EXPECT_EQ(outcome(rig.authorise(act(id))), "usage.limit-reached");

  // Queued, not durable: nobody gets the use yet.
  rig.commit_after(milliseconds(50));
  std::optional<Result<void>> aborted;
  const auto aborting = [&]() -> awaitable<void> {
    Grant given = *grant;
    auto result = co_await rig.enforcer->abort(std::move(given));
    aborted = std::move(result);
  };
  boost::asio::co_spawn(rig.node->executor(), aborting(), [](std::exception_ptr) {});
  rig.world.run_for(milliseconds(20));
  EXPECT_FALSE(aborted);
  EXPECT_EQ(uses(rig), 1);
  EXPECT_EQ(outcome(rig.authorise(act(id))), "usage.limit-reached");
  rig.settle();
  ASSERT_TRUE(aborted && *aborted);
  EXPECT_EQ(uses(rig), 0);
  EXPECT_EQ(outcome(rig.authorise(act(id))), "permitted");
  EXPECT_EQ(rig.records("use.aborted").size(), 1U);
}

TEST(Usage, WhatHasMovedCannotBeGivenBack) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(1)}))));
  const auto grant = rig.use(id);
  ASSERT_TRUE(grant);
  rig.enforcer->complete(*grant, Outcome{});
  const auto late = rig.await(rig.enforcer->abort(*grant));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().message.code, "usage.use-ended");
  EXPECT_EQ(uses(rig), 1);
}

TEST(Usage, AUseIsGivenBackOnce) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(3)}))));
  const auto grant = rig.use(id);
  ASSERT_TRUE(rig.use(id));
  EXPECT_TRUE(rig.await(rig.enforcer->abort(*grant)));
  EXPECT_FALSE(rig.await(rig.enforcer->abort(*grant)));
  rig.enforcer->complete(*grant, Outcome{});  // too late as well
  EXPECT_EQ(uses(rig), 1);
  rig.enforcer->flush_completions(true);
  rig.settle();
  EXPECT_TRUE(rig.records("use.executed").empty());
}

TEST(Usage, AUseThatAnotherRequestContinuesStays) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(1)}))));
  const auto first = rig.use(id, "k");
  const auto second = rig.use(id, "k");
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(second->repeated);
  EXPECT_TRUE(rig.await(rig.enforcer->abort(*first)));
  EXPECT_EQ(uses(rig), 1);
  rig.enforcer->complete(*second, Outcome{});
  EXPECT_EQ(uses(rig), 1);
  EXPECT_TRUE(rig.records("use.aborted").empty());

  // A continuation of a use whose data moved gives nothing back either.
  const auto third = rig.use(id, "k");
  ASSERT_TRUE(third);
  EXPECT_FALSE(rig.await(rig.enforcer->abort(*third)));
  EXPECT_EQ(uses(rig), 1);
}

TEST(Usage, AKeyOfAnAbortedUseBeginsANewOne) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(1)}))));
  const auto first = rig.use(id, "k");
  ASSERT_TRUE(first);
  EXPECT_TRUE(rig.await(rig.enforcer->abort(*first)));
  const auto second = rig.use(id, "k");
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->repeated);
  EXPECT_NE(second->use, first->use);
  rig.stop();
  rig.start();
  EXPECT_EQ(rig.use(id, "k")->use, second->use);
}

TEST(Usage, AnAbortThatTheLogDoesNotTakeLowersNothing) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(1)}))));
  const auto grant = rig.use(id);
  ASSERT_TRUE(grant);
  rig.disk.fail_write(1, true);
  const auto aborted = rig.await(rig.enforcer->abort(*grant));
  ASSERT_FALSE(aborted);
  EXPECT_EQ(aborted.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(uses(rig), 1);
}

TEST(Usage, TheFirstUseIsTheFirstThatWasNotGivenBack) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({test::atom("elapsedTime", "lteq", "PT1H")}))));
  const auto first = rig.use(id);
  rig.world.run_for(seconds(1800));
  const auto second = rig.use(id);
  rig.world.run_for(seconds(600));
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(rig.await(rig.enforcer->abort(*first)));
  EXPECT_EQ(rig.enforcer->state(AgreementId(id))->first_use, second->decided_at);
  rig.enforcer->complete(*second, Outcome{});
  rig.world.run_for(seconds(2000));  // over an hour after the first, not after the second
  EXPECT_TRUE(rig.use(id));
  const auto before = test::image(*rig.enforcer, id);
  rig.stop();
  rig.start();
  EXPECT_EQ(test::image(*rig.enforcer, id), before);
}

}  // namespace
}  // namespace tally::usage
