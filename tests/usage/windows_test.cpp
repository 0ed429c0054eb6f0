// Limits of time and in windows of time: sums over the log, before and after every kind of restart.
#include <gtest/gtest.h>

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::atom;
using test::limit;
using test::outcome;
using test::policy;
using test::Rig;
using test::terms;

const std::string frequency = "urn:tally:profile:1#frequency";

std::optional<std::int64_t> left_after(Rig& rig) {
  const auto answer = rig.authorise(act("urn:test:a"));
  const auto* grant = answer ? std::get_if<Grant>(&*answer) : nullptr;
  if (grant == nullptr) return std::nullopt;
  rig.enforcer->complete(*grant, Outcome{});
  return grant->left;
}

TEST(Windows, AWindowSlides) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({atom(frequency, "lteq", "3/PT1H")}))));
  const auto minutes = [&rig](std::int64_t count) { rig.world.run_for(seconds(60 * count)); };
  EXPECT_EQ(left_after(rig), 2);  // 0:00
  minutes(20);
  EXPECT_EQ(left_after(rig), 1);  // 0:20
  minutes(20);
  EXPECT_EQ(left_after(rig), 0);  // 0:40
  const auto refused = rig.authorise(act("urn:test:a"));
  ASSERT_TRUE(refused);
  const auto& refusal = std::get<Refusal>(*refused);
  EXPECT_EQ(refusal.code.code, "usage.too-often");
  EXPECT_EQ(refusal.used, 3);
  EXPECT_EQ(refusal.limit, 3);
  ASSERT_TRUE(refusal.until);
  const Nanos wait = *refusal.until - rig.node->clock().read().at;
  EXPECT_GT(wait, seconds(19 * 60));
  EXPECT_LE(wait, seconds(20 * 60));
  for (const bool cut : {false, true}) {  // a restart forgets none of it
    cut ? rig.cut_power() : rig.stop();
    rig.start();
    EXPECT_EQ(outcome(rig.authorise(act("urn:test:a"))), "usage.too-often");
  }
  minutes(21);  // 1:01: the first has left
  EXPECT_EQ(left_after(rig), 0);
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:a"))), "usage.too-often");
}

TEST(Windows, WhatIsGivenBackLeavesItsWindow) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({atom(frequency, "lteq", "1/P1D")}))));
  const auto grant = rig.use("urn:test:a");
  ASSERT_TRUE(grant);
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:a"))), "usage.too-often");
  ASSERT_TRUE(rig.await(rig.enforcer->abort(*grant)));
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:a"))), "permitted");
  rig.stop();
  rig.start();
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:a"))), "usage.too-often");
}

TEST(Windows, TheSmallestNumberIsWhatIsLeft) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({limit(9), atom(frequency, "lteq", "2/PT1H")})))
  );
  EXPECT_EQ(left_after(rig), 1);
  for (int i = 0; i < 7; ++i) {
    rig.world.run_for(seconds(3601));
    EXPECT_EQ(left_after(rig), std::min(1, 7 - i));
  }
}

TEST(Windows, TheTimeOfUsesIsAddedUp) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({atom("meteredTime", "lteq", "PT10M")}))));
  const auto use = [&rig](std::int64_t minutes) {
    const auto grant = rig.use("urn:test:a");
    if (!grant) return false;
    rig.world.run_for(seconds(60 * minutes));
    rig.enforcer->complete(*grant, Outcome{});
    return true;
  };
  EXPECT_TRUE(use(4));
  rig.world.run_for(seconds(3600));  // time without a use is none
  EXPECT_TRUE(use(3));
  rig.stop();
  rig.start();
  EXPECT_TRUE(use(2));
  EXPECT_TRUE(use(2));  // 9 minutes and a bit before it
  const auto refused = rig.authorise(act("urn:test:a"));
  ASSERT_TRUE(refused);
  EXPECT_EQ(std::get<Refusal>(*refused).code.code, "usage.time-used-up");
  rig.stop();
  rig.start();
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:a"))), "usage.time-used-up");
}

// What a stop cut short went on at least until the last record before it.
TEST(Windows, AnInterruptedUseTookTimeToo) {
  Rig rig;
  rig.start();
  rig.agree(terms("urn:test:a", policy(Json::array({atom("meteredTime", "lteq", "PT10M")}))));
  rig.agree(terms("urn:test:b", policy(Json::array())));
  ASSERT_TRUE(rig.use("urn:test:a"));
  rig.world.run_for(seconds(601));
  ASSERT_TRUE(rig.use("urn:test:b"));  // something that the log shows
  rig.kill();
  rig.start();
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:a"))), "usage.time-used-up");
}

TEST(Windows, TheProviderHasToBeHeardOf) {
  struct Heard final : Contacts {
    std::optional<Instant> at;
    std::optional<Instant> last_contact(const PartyId&) const override { return at; }
  };
  Heard heard;
  Rig rig;
  rig.start();
  const Json asks = Json::array({atom("urn:tally:profile:1#checkIn", "lteq", "PT1H")});
  rig.agree(terms("urn:test:a", policy(asks)));
  rig.agree(terms("urn:test:p", policy(asks), odrl::Side::provider));
  rig.enforcer->attach(heard);
  const auto consumer = [&rig] { return outcome(rig.authorise(act("urn:test:a"))); };
  EXPECT_EQ(consumer(), "usage.check-in-due");
  heard.at = rig.node->clock().read().at;
  EXPECT_EQ(consumer(), "permitted");
  rig.world.run_for(seconds(3601));
  EXPECT_EQ(consumer(), "usage.check-in-due");
  EXPECT_EQ(outcome(rig.authorise(act("urn:test:p"))), "permitted");  // it is the provider
  heard.at = rig.node->clock().read().at + seconds(3600);             // by a clock that was wrong
  EXPECT_EQ(consumer(), "usage.check-in-due");
}

}  // namespace
}  // namespace tally::usage
