// Two connectors negotiate over the simulated wire.
#include <gtest/gtest.h>

#include "tally/dsp/policy_form.hpp"

#include "negotiation/pair.hpp"

namespace tally::negotiation {
namespace {

using test::hospital;
using test::institute;
using test::Machine;
using test::marketing;
using test::order_for;
using test::outsider;
using test::research;

using test::Pair;

std::vector<std::string> contract_types(Machine& machine) {
  std::vector<std::string> types;
  for (const auto& record : machine.records()) {
    const auto type = record.at("type").get<std::string>();
    if (type.starts_with("contract.")) types.push_back(type);
  }
  return types;
}

TEST(NegotiationPair, AgreesWithinTheOfferSignedByBothAndActiveOnBothSides) {
  Pair pair;
  pair.start();
  pair.provider.directory.home = "CN";
  const auto pid = pair.negotiate(order_for(hospital));
  const auto mine = pair.settled(pid);
  ASSERT_EQ(mine.at("state"), "FINALIZED") << mine.dump(1);
  const auto theirs = pair.providers_view(mine);
  EXPECT_EQ(theirs.at("state"), "FINALIZED") << theirs.dump(1);
  ASSERT_EQ(mine.at("agreement"), theirs.at("agreement"));

  const AgreementId id(mine.at("agreement").get<std::string>());
  const auto ours = find_agreement(*pair.consumer.store, id);
  const auto other = find_agreement(*pair.provider.store, id);
  ASSERT_TRUE(ours && *ours && other && *other);
  EXPECT_EQ((*ours)->document, (*other)->document);
  EXPECT_EQ((*ours)->status, AgreementStatus::active);
  EXPECT_EQ((*other)->status, AgreementStatus::active);
  EXPECT_TRUE((*ours)->confirmed && (*other)->confirmed);
  EXPECT_EQ((*ours)->purposes, std::vector<std::string>{research});
  // Each side can verify what the other signs later.
  EXPECT_TRUE((*ours)->peer_key().has_value());
  EXPECT_TRUE((*other)->peer_key().has_value());
  EXPECT_TRUE(pair.provider.enforcer->state(id).has_value());
  EXPECT_TRUE(pair.consumer.enforcer->state(id).has_value());

  const std::vector<std::string> story = {
      "contract.offered", "contract.agreed", "contract.verified", "contract.finalized"};
  EXPECT_EQ(contract_types(pair.provider), story);
  EXPECT_EQ(contract_types(pair.consumer), story);
  // Both halves name the same policy.
  EXPECT_EQ(
      pair.provider.records("contract.finalized").front().at("policy"),
      pair.consumer.records("contract.finalized").front().at("policy")
  );
  // The rating of the asset stands once, where it is known: at the provider.
  const auto rated = pair.provider.records("contract.finalized").front();
  EXPECT_EQ(rated.at("level"), 3);
  EXPECT_EQ(rated.at("class"), "health");
  EXPECT_EQ(rated.at("sources").at("level"), "asset");
  EXPECT_EQ(rated.at("sources").at("class"), "asset");
  EXPECT_EQ(rated.at("jurisdiction"), "CN");
  EXPECT_EQ(rated.at("sources").at("jurisdiction"), "config");
  const auto unrated = pair.consumer.records("contract.finalized").front();
  EXPECT_FALSE(unrated.contains("level") || unrated.contains("class")) << unrated;
  EXPECT_FALSE(unrated.contains("jurisdiction")) << unrated;
  EXPECT_EQ(
      pair.provider.records("contract.finalized").front().at("signatures").dump().find("asserted"),
      std::string::npos
  );
}

TEST(NegotiationPair, RefusesAPurposeOutsideTheOfferAndNamesConstraintRequiredAndFound) {
  Pair pair;
  pair.start();
  const auto pid = pair.negotiate(order_for(hospital, {marketing}));
  const auto mine = pair.settled(pid);
  ASSERT_EQ(mine.at("state"), "TERMINATED") << mine.dump(1);
  const auto& reason = mine.at("reason");
  EXPECT_EQ(reason.at("code"), "negotiation.widens-offer");
  const auto& params = reason.at("params");
  EXPECT_EQ(params.at("constraint"), "http://www.w3.org/ns/odrl/2/purpose");
  EXPECT_NE(params.at("required").get<std::string>().find(research), std::string::npos);
  EXPECT_NE(params.at("found").get<std::string>().find(marketing), std::string::npos);
  EXPECT_EQ(mine.at("endedBy"), "peer");
  const auto theirs = pair.providers_view(mine);
  EXPECT_EQ(theirs.at("state"), "TERMINATED");
  EXPECT_EQ(theirs.at("endedBy"), "self");
  EXPECT_EQ(pair.provider.records("contract.terminated").size(), 1U);
  EXPECT_EQ(pair.consumer.records("contract.terminated").size(), 1U);
  EXPECT_TRUE(pair.provider.enforcer->agreements().empty());
}

TEST(NegotiationPair, TellsNobodyThatAnOfferIsNotForThem) {
  Pair pair;
  pair.start();
  const auto ask = [&](const std::string& offer, const PartyId& who) {
    const auto root = test::Directory::root_of(who);
    const Json body = {
        {"@context", {"https://w3id.org/dspace/2025/1/context.jsonld"}},
        {"@type", "ContractRequestMessage"},
        {"consumerPid", "urn:uuid:1"},
        {"callbackAddress", root + "/dsp/2025-1"},
        {"offer", test::offer_policy(offer)},
    };
    return pair.provider.receive("POST", "/dsp/2025-1/negotiations/request", body, who);
  };
  const auto hidden = ask("urn:test:offer", outsider);
  const auto unknown = ask("urn:test:no-such-offer", outsider);
  EXPECT_EQ(hidden.status, 400);
  EXPECT_EQ(hidden.status, unknown.status);
  EXPECT_EQ(hidden.body, unknown.body);
  // The same request by the one it is for.
  EXPECT_EQ(ask("urn:test:offer", institute).status, 201);
  EXPECT_EQ(pair.provider.records("contract.offered").size(), 1U);
}

TEST(NegotiationPair, EndsWithTheReasonOfThePeersRefusal) {
  Pair pair;
  pair.provider.offers.offers.clear();
  pair.start();
  const auto pid = pair.negotiate(order_for(hospital));
  const auto mine = pair.settled(pid);
  EXPECT_EQ(mine.at("state"), "TERMINATED");
  EXPECT_EQ(mine.at("reason").at("code"), "negotiation.refused-by-peer");
  EXPECT_NE(mine.dump().find("negotiation.unknown-offer"), std::string::npos) << mine.dump(1);
}

TEST(NegotiationPair, WaitsForAPeerThatIsOff) {
  Pair pair;
  pair.consumer.start();
  const auto pid = pair.negotiate(order_for(hospital));
  pair.world.run_for(seconds(300));
  auto waiting = pair.consumer.negotiations->describe(pid);
  ASSERT_TRUE(waiting);
  EXPECT_EQ(waiting->at("waiting").size(), 1U);
  EXPECT_GE(waiting->at("waiting").front().at("attempts").get<int>(), 5);
  pair.provider.start();
  pair.world.run_for(seconds(90));
  EXPECT_EQ(pair.settled(pid).at("state"), "FINALIZED");
}

TEST(NegotiationPair, GivesUpAfterADay) {
  Pair pair;
  pair.consumer.start();
  const auto pid = pair.negotiate(order_for(hospital));
  pair.world.run_for(seconds(24 * 3600 + 120));
  const auto mine = pair.settled(pid);
  EXPECT_EQ(mine.at("state"), "TERMINATED");
  EXPECT_EQ(mine.at("reason").at("code"), "negotiation.not-delivered");
  EXPECT_TRUE(pair.consumer.image.messages.empty());
}

TEST(NegotiationPair, DoesNotAgreeWithAConsumerThatSignsNothing) {
  Pair pair;
  pair.consumer.has_signer = false;
  pair.start();
  const auto pid = pair.negotiate(order_for(hospital));
  const auto mine = pair.settled(pid);
  EXPECT_EQ(mine.at("state"), "TERMINATED");
  EXPECT_EQ(mine.at("reason").at("code"), "negotiation.nobody-enforces");
  EXPECT_TRUE(pair.provider.enforcer->agreements().empty());
  EXPECT_TRUE(pair.consumer.enforcer->agreements().empty());
}

TEST(NegotiationPair, TakesAnUnsignedPeerOnlyWhenTheOfferSaysSoAndThenSaysAsserted) {
  Pair pair;
  auto& offer = pair.provider.offers.offers["urn:test:offer"].offer;
  offer.require_signature = false;
  offer.accept_unconfirmed = true;
  pair.consumer.has_signer = false;
  pair.start();
  const auto pid = pair.negotiate(order_for(hospital));
  const auto mine = pair.settled(pid);
  ASSERT_EQ(mine.at("state"), "FINALIZED") << mine.dump(1);
  const auto finalized = pair.provider.records("contract.finalized").front();
  EXPECT_EQ(finalized.at("assurance"), "asserted");
  EXPECT_EQ(finalized.at("signatures").at("consumer"), "asserted");
  // With a peer that confirmed nothing everything counts at the provider.
  EXPECT_EQ(finalized.at("limits").front().at("owner"), "provider");
}

TEST(NegotiationPair, DoesNotTakeAnUnsignedAgreementUnlessToldTo) {
  Pair pair;
  pair.provider.offers.offers["urn:test:offer"].offer.require_signature = false;
  pair.provider.has_signer = false;
  pair.start();
  const auto pid = pair.negotiate(order_for(hospital));
  const auto mine = pair.settled(pid);
  EXPECT_EQ(mine.at("state"), "TERMINATED");
  EXPECT_EQ(mine.at("reason").at("code"), "negotiation.not-signed");
  EXPECT_EQ(mine.at("endedBy"), "self");
  EXPECT_EQ(pair.providers_view(mine).at("state"), "TERMINATED");
}

TEST(NegotiationPair, EndsWhenTheConsumerTerminatesWhateverCrossesIt) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Pair pair(seed);
    pair.start();
    const auto pid = pair.negotiate(order_for(hospital));
    // At any moment of the exchange.
    pair.world.run_for(pair.world.chance().span(0, milliseconds(400)));
    const auto ended =
        pair.consumer.await(pair.consumer.negotiations->terminate(pid, {"test.enough", {}}));
    const auto mine = pair.settled(pid);
    pair.world.run_for(seconds(200));
    if (!ended) {
      EXPECT_EQ(ended.error().message.code, "negotiation.cannot-terminate");
    } else {
      EXPECT_EQ(pair.settled(pid).at("state"), "TERMINATED") << "seed " << seed;
    }
    if (mine.at("peerPid").get<std::string>().empty()) continue;
    const auto theirs = pair.providers_view(pair.settled(pid));
    EXPECT_EQ(theirs.at("state"), pair.settled(pid).at("state")) << "seed " << seed << "\n"
                                                                 << mine.dump(1) << theirs.dump(1);
  }
}

}  // namespace
}  // namespace tally::negotiation
