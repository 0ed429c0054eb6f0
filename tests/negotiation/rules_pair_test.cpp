// Two connectors over the simulated wire, with rules: counter-offers, delays, restarts, and
// negotiations that the provider begins.
#include <gtest/gtest.h>

#include "negotiation/pair.hpp"

namespace tally::negotiation {
namespace {

using test::hospital;
using test::institute;
using test::Machine;
using test::order_for;
using test::Pair;

Json rule(const char* role, const char* state, const char* act, const Json& more = Json::object()) {
  Json rule = {{"process", "negotiation"}, {"role", role}, {"state", state}, {"do", act}};
  rule.update(more);
  return rule;
}

Json terms(int count) {
  Json policy = test::offer_policy("urn:test:x", count);
  for (const char* member : {"@id", "@type", "target"}) policy.erase(member);
  return policy;
}

OfferOrder offer_to(const PartyId& peer) {
  OfferOrder order;
  order.peer = peer;
  order.offer = OfferId("urn:test:offer");
  return order;
}

std::string count_of(const Json& policy) {
  for (const auto& constraint : policy.at("permission").at(0).at("constraint")) {
    if (constraint.at("leftOperand").get<std::string>().ends_with("count")) {
      return constraint.at("rightOperand");
    }
  }
  return "none";
}

TEST(RulesPair, AProviderOffersWhatItsCatalogueSaysAndTheConsumerAcceptsBothByRule) {
  Pair pair;
  pair.provider.rules.read({rule("provider", "REQUESTED", "offer")});
  pair.consumer.rules.read({rule("consumer", "OFFERED", "accept")});
  pair.start();
  const auto mine = pair.settled(pair.negotiate(order_for(hospital)));
  ASSERT_EQ(mine.at("state"), "FINALIZED") << mine.dump(1);
  EXPECT_EQ(pair.providers_view(mine).at("state"), "FINALIZED");
  // The offer was not narrowed to the purpose that was asked for: it is what the catalogue says.
  const auto agreement =
      find_agreement(*pair.consumer.store, AgreementId(mine.at("agreement").get<std::string>()));
  EXPECT_EQ((*agreement)->purposes.size(), 2U);
}

TEST(RulesPair, WithoutARuleACounterOfferIsTakenOnlyIfItIsWhatWasAskedFor) {
  for (const bool same : {true, false}) {
    Pair pair;
    pair.provider.rules.read({rule("provider", "REQUESTED", "offer", {{"occurrence", 1}})});
    pair.start();
    auto order = order_for(hospital, {});
    if (!same) order.purposes = {test::research};
    const auto mine = pair.settled(pair.negotiate(std::move(order)));
    EXPECT_EQ(mine.at("state"), same ? "FINALIZED" : "TERMINATED") << mine.dump(1);
    if (!same) EXPECT_EQ(mine.at("reason").at("code"), "negotiation.offer-differs");
  }
}

TEST(RulesPair, OffersGoBackAndForthUntilOneIsTaken) {
  Pair pair;
  pair.provider.rules.read(
      {rule("provider", "REQUESTED", "offer", {{"occurrence", 1}, {"policy", terms(1)}}),
       rule("provider", "REQUESTED", "agree", {{"occurrence", 2}})}
  );
  pair.consumer.rules.read(
      {rule("consumer", "OFFERED", "counter", {{"occurrence", 1}, {"policy", terms(2)}})}
  );
  pair.start();
  const auto mine = pair.settled(pair.negotiate(order_for(hospital)));
  ASSERT_EQ(mine.at("state"), "FINALIZED") << mine.dump(1);
  EXPECT_EQ(count_of(mine.at("policy")), "2");
  // Each word of the exchange is a record on both sides, the same policies in the same order.
  const auto policies = [](Machine& machine) {
    std::vector<std::string> found;
    for (const auto& record : machine.records("contract.offered"))
      found.push_back(record.at("policy"));
    return found;
  };
  EXPECT_EQ(policies(pair.provider).size(), 3U);
  EXPECT_EQ(policies(pair.provider), policies(pair.consumer));
}

TEST(RulesPair, AnOwnCounterOfferThatWasAcceptedIsAgreedThoughTheCatalogueSaysLess) {
  Pair pair;
  pair.provider.rules.read({rule("provider", "REQUESTED", "offer", {{"policy", terms(5)}})});
  pair.consumer.rules.read({rule("consumer", "OFFERED", "accept")});
  pair.start();
  const auto mine = pair.settled(pair.negotiate(order_for(hospital)));
  ASSERT_EQ(mine.at("state"), "FINALIZED") << mine.dump(1);
  EXPECT_EQ(count_of(mine.at("policy")), "5");
}

TEST(RulesPair, AgreeByRuleNeverGoesBeyondTheOffer) {
  Pair pair;
  pair.provider.rules.read({rule("provider", "REQUESTED", "agree")});
  pair.start();
  const auto mine = pair.settled(pair.negotiate(order_for(hospital, {test::marketing})));
  EXPECT_EQ(mine.at("state"), "TERMINATED");
  EXPECT_EQ(mine.at("reason").at("code"), "negotiation.widens-offer");
}

TEST(RulesPair, TwoConnectorsThatCounterForEverComeToAnEnd) {
  Pair pair;
  pair.provider.rules.read({rule("provider", "REQUESTED", "offer")});
  pair.consumer.rules.read({rule("consumer", "OFFERED", "counter")});
  pair.start();
  const auto pid = pair.negotiate(order_for(hospital));
  pair.world.run_for(seconds(600));
  const auto mine = pair.settled(pid);
  EXPECT_EQ(mine.at("state"), "TERMINATED") << mine.dump(1);
  EXPECT_EQ(mine.at("reason").at("code"), "negotiation.too-many-rounds");
}

TEST(RulesPair, TerminatesWithTheReasonOfTheRuleWhereTheDiagramLetsIt) {
  struct Case {
    const char* role;
    const char* state;
    bool offers;  // the provider offers first
  };
  const std::vector<Case> cases = {
      {"provider", "REQUESTED", false},
      {"provider", "OFFERED", true},
      {"provider", "ACCEPTED", true},
      {"provider", "VERIFIED", false},
      {"consumer", "REQUESTED", false},
      {"consumer", "OFFERED", true},
      {"consumer", "AGREED", false},
  };
  for (const auto& [role, state, offers] : cases) {
    Pair pair;
    const auto end = rule(role, state, "terminate", {{"reason", "not today"}, {"after", "PT0.5S"}});
    auto& its = std::string_view(role) == "provider" ? pair.provider : pair.consumer;
    std::vector<Json> of_provider;
    std::vector<Json> of_consumer;
    (&its == &pair.provider ? of_provider : of_consumer).push_back(end);
    if (offers) of_provider.push_back(rule("provider", "REQUESTED", "offer"));
    // The other side holds still, so that the delay passes.
    of_provider.push_back(
        rule("provider", "REQUESTED", std::string_view(state) == "REQUESTED" ? "wait" : "agree")
    );
    of_consumer.push_back(
        rule("consumer", "OFFERED", std::string_view(state) == "OFFERED" ? "wait" : "accept")
    );
    pair.provider.rules.read(of_provider);
    pair.consumer.rules.read(of_consumer);
    pair.start();
    const auto mine = pair.settled(pair.negotiate(order_for(hospital, {})));
    const auto theirs = pair.providers_view(mine);
    for (const auto& view : {mine, theirs}) {
      EXPECT_EQ(view.at("state"), "TERMINATED") << role << " " << state << view.dump(1);
      EXPECT_EQ(view.at("reason").at("code"), "negotiation.ended-by-rule-saying");
      EXPECT_EQ(view.at("reason").at("params").at("reason"), "not today");
    }
    EXPECT_EQ(mine.at("endedBy"), std::string_view(role) == "consumer" ? "self" : "peer");
  }
}

TEST(RulesPair, WaitHoldsUntilAPersonActs) {
  Pair pair;
  pair.provider.rules.read({rule("provider", "REQUESTED", "wait")});
  pair.start();
  const auto pid = pair.negotiate(order_for(hospital));
  pair.world.run_for(seconds(7200));
  const auto mine = pair.settled(pid);
  ASSERT_EQ(mine.at("state"), "REQUESTED");
  const Pid theirs(mine.at("peerPid"));
  const Message enough{"negotiation.ended-by-rule", {}};
  EXPECT_TRUE(pair.provider.await(pair.provider.negotiations->terminate(theirs, enough)));
  EXPECT_EQ(pair.settled(pid).at("state"), "TERMINATED");
}

TEST(RulesPair, ADelayRunsFromTheMomentTheStateWasEnteredAndOverARestart) {
  Pair pair;
  pair.provider.rules.read({rule("provider", "REQUESTED", "agree", {{"after", "PT1H"}})});
  pair.start();
  const auto pid = pair.negotiate(order_for(hospital));
  pair.world.run_for(seconds(1800));
  EXPECT_EQ(pair.settled(pid).at("state"), "REQUESTED");
  pair.provider.cut_power();
  pair.provider.start();
  pair.world.run_for(seconds(1600));
  EXPECT_EQ(pair.settled(pid).at("state"), "REQUESTED");
  pair.world.run_for(seconds(300));
  EXPECT_EQ(pair.settled(pid).at("state"), "FINALIZED");
}

TEST(RulesPair, ADelayedActIsDroppedWhenTheStateHasMoved) {
  Pair pair;
  // The first OFFERED would end in two seconds; the consumer counters before that, and the second
  // OFFERED is another one.
  pair.provider.rules.read(
      {rule("provider", "REQUESTED", "offer"),
       rule("provider", "OFFERED", "terminate", {{"occurrence", 1}, {"after", "PT20S"}}),
       rule("provider", "OFFERED", "wait")}
  );
  pair.consumer.rules.read(
      {rule("consumer", "OFFERED", "counter", {{"occurrence", 1}, {"after", "PT1S"}}),
       rule("consumer", "OFFERED", "wait")}
  );
  pair.start();
  const auto pid = pair.negotiate(order_for(hospital));
  pair.world.run_for(seconds(120));
  EXPECT_EQ(pair.settled(pid).at("state"), "OFFERED");
}

TEST(RulesPair, ARuleThatIsTakenAwayLetsItGoOn) {
  Pair pair;
  pair.provider.rules.read({rule("provider", "REQUESTED", "wait")});
  pair.start();
  const auto pid = pair.negotiate(order_for(hospital));
  EXPECT_EQ(pair.settled(pid).at("state"), "REQUESTED");
  pair.provider.rules.read({});
  EXPECT_TRUE(pair.provider.negotiations->resume());
  EXPECT_EQ(pair.settled(pid).at("state"), "FINALIZED");
}

TEST(RulesPair, AProviderBeginsAndTheConsumerAcceptsOrCounters) {
  for (const char* act : {"accept", "counter"}) {
    Pair pair;
    pair.consumer.rules.read({rule("consumer", "OFFERED", act)});
    pair.start();
    auto begun = pair.provider.await(pair.provider.negotiations->make_offer(offer_to(institute)));
    ASSERT_TRUE(begun) << begun.error().message.code;
    pair.world.run_for(seconds(30));
    const auto theirs = pair.provider.negotiations->describe(*begun).value();
    EXPECT_EQ(theirs.at("state"), "FINALIZED") << act << theirs.dump(1);
    const auto mine =
        pair.consumer.negotiations->describe(Pid(theirs.at("peerPid").get<std::string>())).value();
    EXPECT_EQ(mine.at("state"), "FINALIZED") << act;
    EXPECT_EQ(mine.at("role"), "consumer");
    EXPECT_EQ(mine.at("agreement"), theirs.at("agreement"));
  }
}

TEST(RulesPair, AnOfferThatNobodyAskedForIsAnsweredAndEndsWithTheReason) {
  Pair pair;
  pair.start();
  auto begun = pair.provider.await(pair.provider.negotiations->make_offer(offer_to(institute)));
  ASSERT_TRUE(begun);
  pair.world.run_for(seconds(30));
  const auto theirs = pair.provider.negotiations->describe(*begun).value();
  EXPECT_EQ(theirs.at("state"), "TERMINATED");
  EXPECT_EQ(theirs.at("reason").at("code"), "negotiation.not-asked-for");
}

TEST(RulesPair, ThereIsNoOfferForWhomItIsNotVisible) {
  Pair pair;
  pair.start();
  auto begun =
      pair.provider.await(pair.provider.negotiations->make_offer(offer_to(test::outsider)));
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().message.code, "negotiation.no-offer-for-peer");
}

// An objection is no state that a rule may go on from.
TEST(RulesPair, ARuleVerifiesNoAgreementThatIsNotWhatWasAskedFor) {
  for (const char* act : {"verify", "wait", "terminate"}) {
    sim::World world(1);
    sim::SimNetwork network(world);
    Pair pair;
    // The provider does not sign, and the consumer wants a signature.
    pair.provider.offers.offers["urn:test:offer"].offer.require_signature = false;
    pair.provider.has_signer = false;
    pair.consumer.rules.read({rule("consumer", "AGREED", act)});
    pair.start();
    const auto mine = pair.settled(pair.negotiate(order_for(hospital)));
    const bool waits = std::string_view(act) == "wait";
    EXPECT_EQ(mine.at("state"), waits ? "AGREED" : "TERMINATED") << act;
    if (!waits) EXPECT_EQ(mine.at("reason").at("code"), "negotiation.not-signed") << act;
    EXPECT_TRUE(pair.consumer.enforcer->agreements().empty());
  }
}

}  // namespace
}  // namespace tally::negotiation
