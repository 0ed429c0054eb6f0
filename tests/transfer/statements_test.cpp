// Statements of uses as the other side takes them: each number once.
#include <gtest/gtest.h>

#include "tally/audit/statement.hpp"

#include "transfer/connector.hpp"

namespace tally::transfer {
namespace {

using test::Connector;
using test::hospital;
using test::institute;
using test::research;

class Statements : public ::testing::Test {
 protected:
  void SetUp() override {
    provider.offer(institute);
    identity::KeyStatement of_the_consumer;
    of_the_consumer.party = institute.uri;
    of_the_consumer.log_origin = institute.uri + "/log/1";
    of_the_consumer.first_log_vkey =
        audit::make_verifier_key(of_the_consumer.log_origin, Bytes(32, 7)).text();
    of_the_consumer.not_before = {1'700'000'000, 0};
    of_the_consumer.not_after = {1'900'000'000, 0};
    consumer.key_statement = of_the_consumer;
    provider.start();
    consumer.start();
    ASSERT_TRUE(consumer.negotiate(hospital, {research}));
    world.run_for(seconds(10));
    agreement = consumer.agreements().front().id;
  }
  // What the consumer states, signed with its contract key.
  std::string statement(std::uint64_t number, std::int64_t uses, const std::string& log = "/log/1")
      const {
    audit::Statement said;
    said.agreement = agreement;
    said.number = number;
    said.sums.from = 2;
    said.sums.to = 9;
    said.sums.since = said.sums.until = "2026-03-01T08:00:00.000000Z";
    said.sums.uses = uses;
    said.origin = institute.uri + log;
    said.size = 12;
    const auto signer = negotiation::test::signer_of(institute);
    const auto key = audit::make_verifier_key(institute.uri, signer->public_key());
    const audit::Signer sign = [signer](std::span<const std::uint8_t> bytes) -> Result<Bytes> {
      const auto signature = signer->sign(bytes);
      return Bytes(signature.begin(), signature.end());
    };
    return audit::sign_statement(said, key, sign).value();
  }
  struct Answer {
    int status = 0;
    Json body;
  };
  Answer post(const std::string& note) {
    negotiation::Received received;
    received.caller = negotiation::test::identity_of(institute);
    received.request.method = "POST";
    received.request.headers.set("Content-Type", "application/json");
    received.request.body = Json{{"agreement", agreement.value}, {"note", note}}.dump();
    const auto answer = provider.await(provider.transfers->receive_statement(std::move(received)));
    return {answer.status, Json::parse(answer.body)};
  }

  sim::World world{3};
  sim::SimNetwork network{world};
  Connector provider{world, network, hospital};
  Connector consumer{world, network, institute};
  AgreementId agreement;
};

TEST_F(Statements, OneIsHeldAndARepeatOfItIsAnsweredTheSame) {
  const auto note = statement(1, 3);
  const auto first = post(note);
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.body.at("held"), digest_text(sha256(note)));
  EXPECT_EQ(post(note).body, first.body);
  const auto held = provider.records("statement.held");
  ASSERT_EQ(held.size(), 1U);
  EXPECT_EQ(held[0].at("sums").at("uses"), 3);
}

TEST_F(Statements, AnotherUnderTheSameNumberIsRefusedAndTheFirstStands) {
  const auto note = statement(1, 3);
  ASSERT_EQ(post(note).status, 200);
  const auto other = post(statement(1, 2));
  EXPECT_EQ(other.status, 409) << other.body;
  EXPECT_NE(other.body.dump().find("transfer.statement-other"), std::string::npos) << other.body;
  EXPECT_EQ(provider.records("statement.held").size(), 1U);
  EXPECT_EQ(post(note).status, 200);
  EXPECT_EQ(post(statement(2, 2)).status, 200);

  // Also over a restart.
  provider.cut_power();
  provider.start();
  EXPECT_EQ(post(statement(1, 2)).status, 409);
  EXPECT_EQ(post(note).status, 200);
  EXPECT_EQ(provider.records("statement.held").size(), 2U);
}

// A log that was given up is followed by one that numbers its own.
TEST_F(Statements, ALaterLogOfTheSamePartyBeginsItsNumbersAgain) {
  ASSERT_EQ(post(statement(1, 3)).status, 200);
  const auto later = statement(1, 0, "/log/2");
  EXPECT_EQ(post(later).status, 200);
  EXPECT_EQ(post(later).status, 200);
  EXPECT_EQ(post(statement(1, 2, "/log/2")).status, 409);
  EXPECT_EQ(provider.records("statement.held").size(), 2U);
  // Of no log of this party, or of one before.
  for (const char* log : {"/log/0", "/log/x", "/else/2"}) {
    EXPECT_EQ(post(statement(2, 0, log)).status, 400) << log;
  }
}

}  // namespace
}  // namespace tally::transfer
