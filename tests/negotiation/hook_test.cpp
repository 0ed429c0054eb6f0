// Decisions by a program: every answer, every silence, and what is lost between.
#include <gtest/gtest.h>

#include "negotiation/pair.hpp"

namespace tally::negotiation {
namespace {

using namespace test;
using Decision = HookAnswer::Decision;

HookAnswer answer(Decision decision) {
  HookAnswer made;
  made.decision = decision;
  made.fault = {"events.hook-late", {}};
  made.key = "0123456789abcdef";
  return made;
}

// Answers what the test says, or waits until the power goes.
struct Hook final : DecisionHook {
  awaitable<HookAnswer> ask(Question question) override {
    asked.push_back(std::move(question));
    if (timers) co_await timers->sleep_for(seconds(24L * 3600));
    co_return next;
  }
  std::vector<Question> asked;
  HookAnswer next;
  Timers* timers = nullptr;
};

struct Hooked : Pair {
  Hooked() {
    provider.hook = &hook;
    auto& offer = provider.offers.offers["urn:test:offer"].offer;
    offer.decide = Decide::by_hook;
    offer.hook = "pricing";
    start();
  }
  Json run(HookAnswer next, std::vector<std::string> purposes = {research}) {
    hook.next = std::move(next);
    return settled(negotiate(order_for(hospital, std::move(purposes))));
  }
  Hook hook;
};

struct Case {
  std::string name;
  HookAnswer answer;
  std::string purpose;
  std::string state;
  std::string reason;  // code; empty: none
  std::string record;  // what the provider's log has of it
};

std::vector<Case> cases() {
  auto saying = answer(Decision::reject);
  saying.reason = "Not before spring.";
  auto counter = answer(Decision::counter);
  counter.policy = offer_policy("urn:test:other", 2);
  auto bad_counter = answer(Decision::counter);
  bad_counter.policy = {{"permission", "nothing"}};
  return {
      {"agree", answer(Decision::agree), research, "FINALIZED", "", "approval.approved"},
      {"agree beyond the offer",
       answer(Decision::agree),
       marketing,
       "TERMINATED",
       "negotiation.widens-offer",
       "approval.rejected"},
      {"reject",
       answer(Decision::reject),
       research,
       "TERMINATED",
       "negotiation.rejected",
       "approval.rejected"},
      {"reject saying",
       saying,
       research,
       "TERMINATED",
       "negotiation.rejected-saying",
       "approval.rejected"},
      // This consumer does not take a counter-offer up.
      {"counter",
       counter,
       research,
       "TERMINATED",
       "negotiation.offer-differs",
       "approval.rejected"},
      {"bad counter",
       bad_counter,
       research,
       "TERMINATED",
       "negotiation.hook-silent",
       "approval.rejected"},
      {"silent",
       answer(Decision::silent),
       research,
       "TERMINATED",
       "negotiation.hook-silent",
       "approval.rejected"},
  };
}

TEST(Hooks, EachAnswerHasItsEnd) {
  for (const auto& one : cases()) {
    Hooked pair;
    const auto end = pair.run(one.answer, {one.purpose});
    EXPECT_EQ(end.at("state"), one.state) << one.name;
    if (!one.reason.empty()) {
      EXPECT_NE(end.at("reason").dump().find(one.reason), std::string::npos)
          << one.name << end.at("reason");
    }
    const auto records = pair.provider.records(one.record);
    ASSERT_EQ(records.size(), 1U) << one.name;
    EXPECT_EQ(records.front().at("decidedBy").at("role"), "hook") << one.name;
    EXPECT_EQ(records.front().at("decidedBy").at("token"), "0123456789abcdef") << one.name;
    // What it told the peer stays out of the log.
    EXPECT_EQ(pair.provider.log_text().find("spring"), std::string::npos);
    EXPECT_EQ(pair.hook.asked.size(), 1U) << one.name;
    EXPECT_TRUE(pair.provider.negotiations->approvals().value().empty()) << one.name;
  }
}

TEST(Hooks, TheQuestionSaysWhatIsAskedForAndHowItGoesBeyond) {
  Hooked within;
  within.run(answer(Decision::agree));
  const auto& plain = within.hook.asked.front();
  EXPECT_EQ(plain.hook, "pricing");
  EXPECT_EQ(plain.situation.peer, institute);
  EXPECT_EQ(plain.offer, within.provider.offers.offers["urn:test:offer"].offer.policy);
  EXPECT_EQ(plain.request.at("@type"), "Offer");
  EXPECT_TRUE(plain.wider.is_null());
  Hooked beyond;
  beyond.run(answer(Decision::reject), {marketing});
  const auto& wider = beyond.hook.asked.front().wider;
  ASSERT_TRUE(wider.is_object());
  EXPECT_NE(wider.at("constraint").get<std::string>().find("purpose"), std::string::npos);
  EXPECT_NE(wider.at("found").dump().find(marketing), std::string::npos) << wider;
}

TEST(Hooks, WaitLeavesItToAPersonAndTheHookIsNotAskedAgain) {
  Hooked pair;
  pair.hook.next = answer(Decision::wait);
  const auto pid = pair.negotiate(order_for(hospital));
  EXPECT_EQ(pair.settled(pid).at("state"), "REQUESTED");
  const auto reasons = pair.provider.records("approval.requested");
  ASSERT_EQ(reasons.size(), 2U);
  EXPECT_EQ(reasons.back().at("reason").at("code"), "negotiation.waits-by-hook");
  pair.hook.next = answer(Decision::silent);
  pair.provider.cut_power();
  pair.provider.start();
  EXPECT_EQ(pair.settled(pid).at("state"), "REQUESTED");
  EXPECT_EQ(pair.hook.asked.size(), 1U);
  const auto items = pair.provider.negotiations->approvals().value();
  ASSERT_EQ(items.size(), 1U);
  EXPECT_TRUE(items.front().at("leftByHook"));
  const Pid theirs(items.front().at("id").get<std::string>());
  ASSERT_TRUE(pair.provider.await(pair.provider.negotiations->approve(theirs, {"operator", "x"})));
  EXPECT_EQ(pair.settled(pid).at("state"), "FINALIZED");
}

// Also with a question on its way: it is asked again, and one answer counts.
TEST(Hooks, AQuestionSurvivesAPowerCut) {
  Hooked pair;
  pair.hook.timers = &pair.provider.node->timers();
  const auto pid = pair.negotiate(order_for(hospital));
  pair.settled(pid);
  ASSERT_EQ(pair.hook.asked.size(), 1U);
  // The same question is not asked twice at once.
  ASSERT_TRUE(pair.provider.negotiations->resume());
  pair.settled(pid);
  ASSERT_EQ(pair.hook.asked.size(), 1U);
  pair.provider.cut_power();
  pair.hook.timers = nullptr;
  pair.hook.next = answer(Decision::agree);
  pair.provider.start();
  EXPECT_EQ(pair.settled(pid).at("state"), "FINALIZED");
  EXPECT_EQ(pair.hook.asked.size(), 2U);
  EXPECT_EQ(pair.provider.records("approval.approved").size(), 1U);
}

// The answer to a question is none to the next request of the same negotiation.
TEST(Hooks, AnAnswerThatComesLateDecidesNothing) {
  Hooked pair;
  pair.consumer.rules.read(
      {{{"process", "negotiation"}, {"role", "consumer"}, {"state", "OFFERED"}, {"do", "counter"}}}
  );
  pair.hook.timers = &pair.provider.node->timers();
  pair.hook.next = answer(Decision::agree);
  const auto pid = pair.negotiate(order_for(hospital));
  pair.settled(pid);
  const auto items = pair.provider.negotiations->approvals().value();
  ASSERT_EQ(items.size(), 1U);
  const Pid theirs(items.front().at("id").get<std::string>());
  const Json other = offer_policy("urn:test:other", 2);
  ASSERT_TRUE(
      pair.provider.await(pair.provider.negotiations->counter(theirs, {"operator", "x"}, other))
  );
  pair.settled(pid);
  ASSERT_EQ(pair.hook.asked.size(), 2U);
  EXPECT_EQ(pair.hook.asked.back().situation.occurrence, 2);
  // The first one answers a day after it was asked, a minute before the second one.
  pair.world.run_for(seconds(24L * 3600) - seconds(70));
  EXPECT_EQ(pair.settled(pid).at("state"), "REQUESTED");
  pair.world.run_for(seconds(600));
  EXPECT_EQ(pair.settled(pid).at("state"), "FINALIZED");
}

}  // namespace
}  // namespace tally::negotiation
