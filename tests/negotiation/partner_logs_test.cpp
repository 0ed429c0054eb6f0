// What partners say of their logs, and what follows when one is caught at a contradiction.
#include "tally/negotiation/partner_logs.hpp"

#include <gtest/gtest.h>

#include "audit/known_keys.hpp"
#include "negotiation/machine.hpp"

namespace tally::negotiation {
namespace {

using test::hospital;
using test::institute;
using test::Machine;
using test::order_for;
using test::outsider;

identity::KeyStatement statement_of(const PartyId& party, const std::string& log_owner) {
  identity::KeyStatement statement;
  statement.party = party.uri;
  statement.log_origin = log_owner + "/log/1";
  statement.first_log_vkey = audit::key_of(statement.log_origin, audit::log_seed).text();
  statement.witness_vkey =
      audit::key_of(party.uri + "/witness", audit::witness_seed, audit::cosignature_type).text();
  statement.not_before = Instant{1'700'000'000, 0};
  statement.not_after = Instant{1'900'000'000, 0};
  return statement;
}

struct Pair {
  Pair() {
    provider.offers.offers["urn:test:offer"] = {test::cohort_offer(), {}};
    provider.key_statement = statement_of(hospital, hospital.uri);
    consumer.key_statement = statement_of(institute, institute.uri);
  }
  void start() {
    provider.start();
    consumer.start();
  }
  Json negotiate() {
    auto pid = consumer.await(consumer.negotiations->negotiate(order_for(hospital)));
    if (!pid) return {{"state", pid.error().message.code}};
    world.run_for(seconds(30));
    return consumer.negotiations->describe(*pid).value();
  }
  // As audit::Witness keeps it.
  static void keep_against(Machine& machine, const PartyId& party, bool proven) {
    Row row;
    row.kind = "contradiction";
    row.id = "0123 9 4567";
    row.state = proven ? "proven" : "unshown";
    row.owner = to_string(party);
    const Json body = {
        {"origin", party.uri + "/log/1"}, {"proven", proven}, {"first", "a"}, {"second", "b"}};
    row.body = body.dump();
    Transaction transaction;
    transaction.puts.push_back(row);
    ASSERT_TRUE(machine.await(machine.journal->commit(std::move(transaction), {})));
  }

  sim::World world{1};
  sim::SimNetwork network{world};
  Machine provider{world, network, hospital};
  Machine consumer{world, network, institute};
};

TEST(PartnerLogs, AreKnownFromTheAgreementOnAndAfterARestart) {
  Pair pair;
  pair.start();
  EXPECT_TRUE(pair.provider.negotiations->partners().parties().empty());
  ASSERT_EQ(pair.negotiate().at("state"), "FINALIZED");
  for (int life = 0; life < 2; ++life) {
    const auto& theirs = pair.provider.negotiations->partners();
    const auto& ours = pair.consumer.negotiations->partners();
    EXPECT_EQ(theirs.parties(), std::vector<PartyId>{institute});
    const auto log = theirs.log_keys(institute, institute.uri + "/log/1");
    ASSERT_EQ(log.size(), 1U);
    EXPECT_EQ(log[0].text(), pair.consumer.key_statement->first_log_vkey);
    ASSERT_EQ(ours.witness_keys(hospital).size(), 1U);
    EXPECT_EQ(ours.witness_keys(hospital)[0].text(), pair.provider.key_statement->witness_vkey);
    EXPECT_EQ(ours.log_keys(hospital, hospital.uri + "/log/1").size(), 1U);
    // Nobody else's: not by another party, not by another domain, not another origin.
    EXPECT_TRUE(theirs.log_keys(hospital, institute.uri + "/log/1").empty());
    EXPECT_TRUE(theirs.log_keys(outsider, institute.uri + "/log/1").empty());
    EXPECT_TRUE(theirs.log_keys(institute, institute.uri + "/log/2").empty());
    // Whose log it is, the key says, and not the name alone.
    EXPECT_EQ(theirs.owner_of(institute.uri + "/log/1", log), institute);
    const auto other = audit::key_of(institute.uri + "/log/1", audit::third_seed);
    EXPECT_TRUE(theirs.owner_of(institute.uri + "/log/1", {other}).empty());
    EXPECT_TRUE(theirs.owner_of(institute.uri + "/log/2", log).empty());
    if (life == 0) {
      for (auto* machine : {&pair.provider, &pair.consumer}) {
        machine->cut_power();
        machine->start();
      }
    }
  }
}

TEST(PartnerLogs, NobodySpeaksForTheLogOfAnother) {
  Pair pair;
  pair.consumer.key_statement = statement_of(institute, hospital.uri);
  pair.start();
  ASSERT_EQ(pair.negotiate().at("state"), "FINALIZED");
  const auto& partners = pair.provider.negotiations->partners();
  EXPECT_EQ(partners.parties().size(), 1U);
  EXPECT_TRUE(partners.log_keys(institute, hospital.uri + "/log/1").empty());
}

TEST(PartnerLogs, AnAgreementThatNeverCameIntoForceTeachesNothing) {
  Pair pair;
  pair.start();
  ASSERT_EQ(pair.negotiate().at("state"), "FINALIZED");
  const auto rows = pair.provider.store->rows({"agreement", "", "", "", 10}).value();
  ASSERT_EQ(rows.size(), 1U);
  auto agreement = parse_agreement(rows[0]).value();
  PartnerLogs partners;
  agreement.finalized_at.clear();
  partners.learn(agreement);
  EXPECT_TRUE(partners.parties().empty());
}

TEST(Contradiction, EndsANegotiationWithItsReason) {
  for (const bool proven : {true, false}) {
    Pair pair;
    pair.start();
    Pair::keep_against(pair.provider, institute, proven);
    const auto ended = pair.negotiate();
    EXPECT_EQ(ended.at("state"), "TERMINATED") << ended.dump(1);
    const std::string code =
        proven ? "negotiation.log-contradicts" : "negotiation.log-not-continued";
    EXPECT_EQ(ended.at("reason").at("code"), code) << ended.dump(1);
    EXPECT_TRUE(pair.provider.records("contract.agreed").empty());
    ASSERT_EQ(pair.provider.records("contract.terminated").size(), 1U);
  }
}

TEST(Contradiction, LetsNobodyHereAskForAContractEither) {
  Pair pair;
  pair.start();
  Pair::keep_against(pair.consumer, hospital, true);
  EXPECT_EQ(pair.negotiate().at("state"), "negotiation.log-contradicts");
}

TEST(Contradiction, OfAnotherPartyConcernsNobody) {
  Pair pair;
  pair.start();
  Pair::keep_against(pair.provider, outsider, true);
  EXPECT_EQ(pair.negotiate().at("state"), "FINALIZED");
}

}  // namespace
}  // namespace tally::negotiation
