// What a hold stops, as a table, and that nothing passes it.
#include <thread>

#include <gtest/gtest.h>

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::outcome;
using test::policy;
using test::Rig;
using test::terms;

constexpr const char* id = "urn:test:a";

Hold hold(HoldScope scope, std::string target, HoldBy by = HoldBy::operator_) {
  Hold out;
  out.id = std::string(to_string(scope)) + "-hold";
  out.by = by;
  out.on = {scope, std::move(target)};
  out.since = {1'700'000'000, 0};
  return out;
}

HoldSetPtr set(std::vector<Hold> holds) {
  return std::make_shared<const HoldSet>(std::move(holds));
}

TEST(Holds, EachScopeStopsItsOwnAndNothingElse) {
  const AgreementId agreement(id);
  const PartyId provider{"health", "did:web:a"};
  const PartyId consumer{"health", "did:web:b"};
  const AssetId asset("urn:test:cohort");
  const AppId reader("reader");
  const AppId none;
  const ClockReading now{{1'800'000'000, 0}, true};
  const struct {
    Hold hold;
    bool by_app;
    bool by_peer;
  } rows[] = {
      {hold(HoldScope::everything, ""), true, true},
      {hold(HoldScope::agreement, id), true, true},
      {hold(HoldScope::agreement, "urn:test:b"), false, false},
      {hold(HoldScope::asset, "urn:test:cohort"), true, true},
      {hold(HoldScope::asset, id), false, false},
      {hold(HoldScope::party, "did:web:a"), true, true},
      {hold(HoldScope::party, "did:web:b"), true, true},
      {hold(HoldScope::party, "health:did:web:b"), true, true},
      {hold(HoldScope::party, "other:did:web:b"), false, false},
      {hold(HoldScope::application, "reader"), true, false},
      {hold(HoldScope::application, "other"), false, false},
  };
  for (const auto& row : rows) {
    const HoldSet held({row.hold});
    const auto stops = [&](const AppId& app) {
      return held.stopping({agreement, provider, consumer, asset, app}, now) != nullptr;
    };
    EXPECT_EQ(stops(reader), row.by_app) << row.hold.on.target;
    EXPECT_EQ(stops(none), row.by_peer) << row.hold.on.target;
  }
}

TEST(Holds, OneIsOverAtItsTimeIfTheClockCanBeBelieved) {
  auto ends = hold(HoldScope::everything, "");
  ends.until = Instant{1'800'000'000, 0};
  EXPECT_TRUE(ends.in_force({{1'799'999'999, 0}, true}));
  EXPECT_FALSE(ends.in_force({{1'800'000'000, 0}, true}));
  EXPECT_TRUE(ends.in_force({{1'800'000'000, 0}, false}));
}

TEST(Holds, TheFirstOneIsSaid) {
  auto later = hold(HoldScope::everything, "", HoldBy::regulator);
  later.since.seconds += 1;
  const HoldSet held({later, hold(HoldScope::agreement, id)});
  const AgreementId agreement(id);
  const PartyId party;
  const AssetId asset;
  const AppId app;
  const auto* stops = held.stopping({agreement, party, party, asset, app}, {{1, 0}, true});
  ASSERT_NE(stops, nullptr);
  EXPECT_EQ(stops->id, "agreement-hold");
}

// A refusal names who holds; a dry run answers the same; nothing is counted; a grant ends.
TEST(Holds, TheNextActIsRefusedAndARunningOneMayNotGoOn) {
  const std::pair<HoldBy, const char*> who[] = {
      {HoldBy::operator_, "usage.held-by-operator"},
      {HoldBy::peer, "usage.held-by-peer"},
      {HoldBy::regulator, "usage.held-by-regulator"}};
  for (const auto& [by, code] : who) {
    Rig rig;
    rig.start();
    rig.agree(terms(id, policy(Json::array())));
    const auto running = rig.use(id);
    ASSERT_TRUE(running);
    EXPECT_TRUE(rig.enforcer->may_go_on(*running));
    rig.enforcer->hold(set({hold(HoldScope::everything, "", by)}));
    EXPECT_EQ(outcome(rig.authorise(act(id))), code);
    const auto decision = rig.enforcer->dry_run(act(id));
    ASSERT_TRUE(decision);
    EXPECT_FALSE(decision->decision.permit);
    EXPECT_EQ(to_string(decision->decision.reason), "held");
    EXPECT_FALSE(rig.enforcer->may_go_on(*running));
    EXPECT_TRUE(rig.enforcer->held(AgreementId(id)));
    EXPECT_EQ(rig.enforcer->state(AgreementId(id))->uses, 1);
    rig.enforcer->hold(nullptr);
    EXPECT_EQ(outcome(rig.authorise(act(id))), "permitted");
    EXPECT_TRUE(rig.enforcer->may_go_on(*running));
    EXPECT_FALSE(rig.enforcer->held(AgreementId(id)));
  }
}

TEST(Holds, WhatHasEndedMayNotGoOn) {
  for (const Closed state : {Closed::suspended, Closed::expired, Closed::terminated}) {
    Rig rig;
    rig.start();
    rig.agree(terms(id, policy(Json::array())));
    const auto running = rig.use(id);
    ASSERT_TRUE(running);
    rig.enforcer->shut(AgreementId(id), state);
    EXPECT_FALSE(rig.enforcer->may_go_on(*running)) << to_string(state);
  }
}

}  // namespace
}  // namespace tally::usage
