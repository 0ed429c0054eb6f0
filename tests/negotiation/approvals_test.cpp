// Decisions by people, over the simulated wire: what waits, what follows, and what nobody can
// approve.
#include <gtest/gtest.h>

#include "negotiation/pair.hpp"

namespace tally::negotiation {
namespace {

using test::hospital;
using test::institute;
using test::Machine;
using test::marketing;
using test::order_for;
using test::Pair;

const Decider operator_{"operator", "0123456789abcdef"};

Json terms(int count) {
  Json policy = test::offer_policy("urn:test:x", count);
  for (const char* member : {"@id", "@type", "target"}) policy.erase(member);
  return policy;
}

std::string count_of(const Json& policy) {
  for (const auto& constraint : policy.at("permission").at(0).at("constraint")) {
    if (constraint.at("leftOperand").get<std::string>().ends_with("count")) {
      return constraint.at("rightOperand");
    }
  }
  return "none";
}

struct Approving : Pair {
  explicit Approving(std::uint64_t seed = 1) : Pair(seed) {
    provider.offers.offers["urn:test:offer"].offer.decide = Decide::by_person;
    start();
  }
  // The one item that waits.
  Json item(Machine& machine) {
    auto waiting = machine.negotiations->approvals().value();
    if (waiting.size() != 1) throw std::runtime_error(std::to_string(waiting.size()) + " wait");
    return waiting.front();
  }
  Pid waiting(Machine& machine) { return Pid(item(machine).at("id").get<std::string>()); }
};

TEST(Approvals, ARequestWaitsIsApprovedAndGoesOn) {
  Approving pair;
  const auto pid = pair.negotiate(order_for(hospital));
  pair.world.run_for(seconds(3600));
  EXPECT_EQ(pair.settled(pid).at("state"), "REQUESTED");
  const auto item = pair.item(pair.provider);
  EXPECT_EQ(item.at("why").at("code"), "negotiation.waits-within-offer");
  EXPECT_EQ(item.at("peer").at("uri"), institute.uri);
  const auto requested = pair.provider.records("approval.requested");
  ASSERT_EQ(requested.size(), 1U);
  EXPECT_EQ(requested.front().at("pid"), item.at("id"));

  const Pid theirs(item.at("id").get<std::string>());
  ASSERT_TRUE(pair.provider.await(pair.provider.negotiations->approve(theirs, operator_)));
  EXPECT_EQ(pair.settled(pid).at("state"), "FINALIZED");
  EXPECT_TRUE(pair.provider.negotiations->approvals().value().empty());
  const auto approved = pair.provider.records("approval.approved");
  ASSERT_EQ(approved.size(), 1U);
  EXPECT_EQ(approved.front().at("decidedBy").at("role"), "operator");
  EXPECT_EQ(approved.front().at("decidedBy").at("token"), operator_.token);
  // The decision stands before what follows from it.
  EXPECT_LT(approved.front().at("seq"), pair.provider.records("contract.agreed").front().at("seq"));
  // Nobody decides twice.
  const auto again = pair.provider.await(pair.provider.negotiations->approve(theirs, operator_));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message.code, "negotiation.nothing-to-decide");
}

TEST(Approvals, ARejectionTellsThePeerWhyAndTheLogNot) {
  Approving pair;
  const auto pid = pair.negotiate(order_for(hospital));
  pair.settled(pid);
  const auto theirs = pair.waiting(pair.provider);
  ASSERT_TRUE(
      pair.provider.await(pair.provider.negotiations->reject(theirs, operator_, "Ask Mrs Example."))
  );
  const auto mine = pair.settled(pid);
  EXPECT_EQ(mine.at("state"), "TERMINATED");
  EXPECT_EQ(mine.at("reason").at("code"), "negotiation.rejected-saying");
  EXPECT_EQ(mine.at("reason").at("params").at("reason"), "Ask Mrs Example.");
  for (auto* machine : {&pair.provider, &pair.consumer}) {
    EXPECT_EQ(machine->log_text().find("Mrs"), std::string::npos);
  }
  EXPECT_EQ(pair.provider.records("approval.rejected").front().at("decision"), "rejected");
}

TEST(Approvals, APersonCountersAndThePersonOnTheOtherSideApproves) {
  Approving pair;
  auto order = order_for(hospital);
  order.counter_offers = Decide::by_person;
  const auto pid = pair.negotiate(std::move(order));
  pair.settled(pid);
  const auto theirs = pair.waiting(pair.provider);
  auto& provider = *pair.provider.negotiations;
  const auto bad = pair.provider.await(provider.counter(theirs, operator_, Json::object()));
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().kind, ErrorKind::invalid);
  ASSERT_TRUE(pair.provider.await(provider.counter(theirs, operator_, terms(1))));
  EXPECT_EQ(pair.settled(pid).at("state"), "OFFERED");

  const auto item = pair.item(pair.consumer);
  EXPECT_EQ(item.at("why").at("code"), "negotiation.waits-counter-offer");
  EXPECT_EQ(count_of(item.at("policy")), "1");
  EXPECT_EQ(count_of(item.at("asked")), "3");
  ASSERT_TRUE(pair.consumer.await(pair.consumer.negotiations->approve(pid, operator_)));
  const auto mine = pair.settled(pid);
  EXPECT_EQ(mine.at("state"), "FINALIZED") << mine.dump(1);
  EXPECT_EQ(count_of(mine.at("policy")), "1");
}

TEST(Approvals, TheConsumerCountersAndTheProviderIsAskedAgain) {
  Approving pair;
  auto order = order_for(hospital);
  order.counter_offers = Decide::by_person;
  const auto pid = pair.negotiate(std::move(order));
  pair.settled(pid);
  auto theirs = pair.waiting(pair.provider);
  auto& provider = *pair.provider.negotiations;
  ASSERT_TRUE(pair.provider.await(provider.counter(theirs, operator_, terms(1))));
  pair.settled(pid);
  ASSERT_TRUE(pair.consumer.await(pair.consumer.negotiations->counter(pid, operator_, terms(2))));
  EXPECT_EQ(pair.settled(pid).at("state"), "REQUESTED");
  EXPECT_EQ(count_of(pair.item(pair.provider).at("policy")), "2");
  ASSERT_TRUE(pair.provider.await(provider.approve(theirs, operator_)));
  const auto mine = pair.settled(pid);
  ASSERT_EQ(mine.at("state"), "FINALIZED") << mine.dump(1);
  EXPECT_EQ(pair.provider.records("approval.requested").size(), 2U);
}

TEST(Approvals, NobodyApprovesWhatGoesBeyondTheOffer) {
  Approving pair;
  const auto pid = pair.negotiate(order_for(hospital, {marketing}));
  pair.settled(pid);
  const auto item = pair.item(pair.provider);
  EXPECT_EQ(item.at("why").at("code"), "negotiation.widens-offer");
  const Pid theirs(item.at("id").get<std::string>());
  const auto done = pair.provider.await(pair.provider.negotiations->approve(theirs, operator_));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::conflict);
  EXPECT_EQ(done.error().message.code, "negotiation.widens-offer");
  EXPECT_EQ(pair.settled(pid).at("state"), "REQUESTED");
  EXPECT_TRUE(pair.provider.records("approval.approved").empty());
}

TEST(Approvals, AnUnaskedOfferWaitsWhereTheSettingSaysSo) {
  Pair pair;
  pair.consumer.unasked_offers = Decide::by_person;
  pair.start();
  OfferOrder order;
  order.peer = institute;
  order.offer = OfferId("urn:test:offer");
  const auto theirs = pair.provider.await(pair.provider.negotiations->make_offer(order)).value();
  pair.world.run_for(seconds(60));
  const auto items = pair.consumer.negotiations->approvals().value();
  ASSERT_EQ(items.size(), 1U);
  EXPECT_EQ(items.front().at("why").at("code"), "negotiation.waits-unasked-offer");
  const Pid mine(items.front().at("id").get<std::string>());
  ASSERT_TRUE(pair.consumer.await(pair.consumer.negotiations->approve(mine, operator_)));
  pair.world.run_for(seconds(60));
  EXPECT_EQ(pair.provider.negotiations->describe(theirs).value().at("state"), "FINALIZED");
}

TEST(Approvals, ARuleThatWaitsIsDecidedByAPersonInEveryStateOfOurs) {
  struct Case {
    const char* role;
    const char* state;
  };
  for (const auto& [role, state] : std::vector<Case>{
           {"provider", "REQUESTED"},
           {"provider", "ACCEPTED"},
           {"provider", "VERIFIED"},
           {"consumer", "OFFERED"},
           {"consumer", "AGREED"}}) {
    Pair pair;
    const Json hold = {
        {"process", "negotiation"}, {"role", role}, {"state", state}, {"do", "wait"}};
    const Json offer = {
        {"process", "negotiation"}, {"role", "provider"}, {"state", "REQUESTED"}, {"do", "offer"}};
    std::vector<Json> of_provider;
    const bool provides = std::string_view(role) == "provider";
    if (provides) of_provider.push_back(hold);
    const bool by_offer =
        std::string_view(state) == "ACCEPTED" || std::string_view(state) == "OFFERED";
    if (by_offer) of_provider.push_back(offer);
    pair.provider.rules.read(of_provider);
    if (!provides) pair.consumer.rules.read({hold});
    pair.start();
    const auto pid = pair.negotiate(order_for(hospital, {}));
    EXPECT_EQ(pair.settled(pid).at("state"), state) << role;
    auto& machine = provides ? pair.provider : pair.consumer;
    const auto items = machine.negotiations->approvals().value();
    ASSERT_EQ(items.size(), 1U) << role << state;
    EXPECT_EQ(items.front().at("why").at("code"), "negotiation.waits-by-rule");
    const Pid own(items.front().at("id").get<std::string>());
    ASSERT_TRUE(machine.await(machine.negotiations->approve(own, operator_))) << role << state;
    EXPECT_EQ(pair.settled(pid).at("state"), "FINALIZED") << role << state;
  }
}

TEST(Approvals, WhatThePeerEndsWaitsNoLonger) {
  Approving pair;
  const auto pid = pair.negotiate(order_for(hospital));
  pair.settled(pid);
  const auto theirs = pair.waiting(pair.provider);
  ASSERT_TRUE(
      pair.consumer.await(pair.consumer.negotiations->terminate(pid, {"negotiation.rejected", {}}))
  );
  pair.settled(pid);
  EXPECT_TRUE(pair.provider.negotiations->approvals().value().empty());
  EXPECT_FALSE(pair.provider.await(pair.provider.negotiations->approve(theirs, operator_)));
  EXPECT_EQ(pair.provider.store->row("approval", theirs.value).value()->state, "lapsed");
}

// Whatever is lost between two steps: it is asked for once, and decided once.
TEST(Approvals, SurvivesAPowerCutAtAnyMoment) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Approving pair(seed);
    const auto pid = pair.negotiate(order_for(hospital));
    pair.world.run_for(pair.world.chance().span(0, milliseconds(300)));
    pair.provider.cut_power();
    pair.provider.start();
    ASSERT_EQ(pair.settled(pid).at("state"), "REQUESTED") << seed;
    ASSERT_EQ(pair.provider.records("approval.requested").size(), 1U) << seed;
    const auto theirs = pair.waiting(pair.provider);
    ASSERT_TRUE(pair.provider.await(pair.provider.negotiations->approve(theirs, operator_)));
    pair.world.run_for(pair.world.chance().span(0, milliseconds(300)));
    pair.provider.cut_power();
    pair.provider.start();
    pair.world.run_for(seconds(120));
    ASSERT_EQ(pair.settled(pid).at("state"), "FINALIZED") << seed;
    ASSERT_EQ(pair.provider.records("approval.approved").size(), 1U) << seed;
  }
}

}  // namespace
}  // namespace tally::negotiation
