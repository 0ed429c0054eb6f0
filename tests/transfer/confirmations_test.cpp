// Duties that are confirmed, told to the other side: two whole connectors, over power cuts and a
// wire that loses and doubles messages.
#include "tally/transfer/confirmations.hpp"

#include <gtest/gtest.h>

#include "transfer/pair.hpp"

namespace tally::transfer {
namespace {

using test::Connector;
using test::institute;
using test::Pair;

const DecidedBy by{"operator", "token"};

struct Agreed : Pair {
  explicit Agreed(const char* action = "compensate") : Pair(1000) {
    provider.duties = Json::array({{{"action", action}}});
    provider.offer(institute, 1000);
    agree();
  }
  std::string confirm(const std::string& reference) {
    Confirming given;
    given.reference = reference;
    const auto done = provider.await(provider.confirmations->confirm(agreement, given, by));
    return done ? "done" : done.error().message.code;
  }
  std::string withdraw(const std::string& reference) {
    const auto done = provider.await(provider.confirmations->withdraw(agreement, reference, by));
    return done ? "done" : done.error().message.code;
  }
  std::string state(Connector& at) {
    return std::string(to_string(at.enforcer->duties(agreement).front().standing));
  }
  std::string states() { return state(provider) + ", " + state(consumer); }
  // What the log of that side says, which is what its ledger has to say.
  std::string logged(Connector& at) {
    const auto confirmed = at.records("duty.confirmed").size();
    const auto withdrawn = at.records("duty.withdrawn").size();
    EXPECT_LE(confirmed, 1U);
    EXPECT_LE(withdrawn, confirmed);
    return withdrawn > 0 ? "withdrawn" : confirmed > 0 ? "confirmed" : "due";
  }
  void restart(Connector& at) {
    at.cut_power();
    at.start();
  }
};

awaitable<void> confirming(Confirmations& confirmations, AgreementId agreement) {
  Confirming given;
  given.reference = "r";
  DecidedBy operator_ = by;
  co_await confirmations.confirm(std::move(agreement), std::move(given), std::move(operator_));
}
awaitable<void> withdrawing(Confirmations& confirmations, AgreementId agreement) {
  std::string reference = "r";
  DecidedBy operator_ = by;
  co_await confirmations.withdraw(std::move(agreement), std::move(reference), std::move(operator_));
}

TEST(Confirmations, AreToldLaterToWhoWasOffAndSurvivePowerCuts) {
  for (int step = 0; step < 4; ++step) {
    Agreed pair;
    EXPECT_EQ(pair.states(), "due, due");
    pair.consumer.cut_power();
    EXPECT_EQ(pair.confirm("r"), "done");
    pair.world.run_for(seconds(step));
    pair.restart(pair.provider);
    EXPECT_EQ(pair.state(pair.provider), "confirmed");
    pair.world.run_for(seconds(3600));
    pair.consumer.start();
    EXPECT_EQ(pair.state(pair.consumer), "due");
    pair.world.run_for(seconds(200));
    EXPECT_EQ(pair.states(), "confirmed, confirmed") << step;
    pair.restart(pair.consumer);
    EXPECT_EQ(pair.state(pair.consumer), "confirmed");
    pair.consumer.cut_power();
    EXPECT_EQ(pair.withdraw("r"), "done");
    pair.restart(pair.provider);
    pair.consumer.start();
    pair.world.run_for(seconds(200));
    EXPECT_EQ(pair.states(), "withdrawn, withdrawn") << step;
    pair.restart(pair.consumer);
    EXPECT_EQ(pair.states(), "withdrawn, withdrawn") << step;
    EXPECT_EQ(pair.logged(pair.provider) + pair.logged(pair.consumer), "withdrawnwithdrawn");
  }
}

// Wherever the power goes, log, ledger and database come to say the same, and then both sides.
TEST(Confirmations, ComeToOneStateWhereverThePowerGoes) {
  int decided = 0;
  for (int millisecond = 0; millisecond < 40; ++millisecond) {
    Agreed pair;
    pair.network.faults.drop_answer = 0.2;
    pair.network.faults.double_request = 0.2;
    auto& first = *pair.provider.confirmations;
    pair.provider.tasks->spawn("confirm", confirming(first, pair.agreement));
    pair.world.run_for(milliseconds(millisecond));
    pair.restart(pair.provider);
    pair.restart(pair.consumer);
    EXPECT_EQ(pair.state(pair.provider), pair.logged(pair.provider)) << millisecond;
    pair.world.run_for(seconds(300));
    EXPECT_EQ(pair.state(pair.consumer), pair.state(pair.provider)) << millisecond;
    if (pair.state(pair.provider) != "confirmed") continue;
    ++decided;
    auto& second = *pair.provider.confirmations;
    pair.provider.tasks->spawn("withdraw", withdrawing(second, pair.agreement));
    pair.world.run_for(milliseconds(millisecond));
    pair.restart(pair.consumer);
    pair.restart(pair.provider);
    EXPECT_EQ(pair.state(pair.provider), pair.logged(pair.provider)) << millisecond;
    pair.world.run_for(seconds(300));
    EXPECT_EQ(pair.state(pair.consumer), pair.state(pair.provider)) << millisecond;
    EXPECT_EQ(pair.state(pair.consumer), pair.logged(pair.consumer)) << millisecond;
  }
  EXPECT_GT(decided, 10);
}

TEST(Confirmations, AnOlderDatabaseBringsNothingBack) {
  Agreed pair;
  EXPECT_EQ(pair.confirm("r"), "done");
  pair.world.run_for(seconds(10));
  auto rows = pair.consumer.store->rows({"duty_confirmation", {}, {}, {}, 10}).value();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(pair.withdraw("r"), "done");
  pair.world.run_for(seconds(10));
  // The row as it was before.
  Transaction older;
  older.puts.push_back(rows[0]);
  older.puts[0].version = pair.consumer.store->row(rows[0].kind, rows[0].id).value()->version;
  ASSERT_TRUE(pair.consumer.await(pair.consumer.store->commit(std::move(older))));
  pair.restart(pair.consumer);
  EXPECT_EQ(pair.state(pair.consumer), "withdrawn");
}

TEST(Confirmations, ARequestWaitsForAsLongAsTheProviderIsOff) {
  Agreed pair("obtainConsent");
  pair.provider.cut_power();
  const auto asked =
      pair.consumer.await(pair.consumer.confirmations->ask(pair.agreement, "", "why", AppId()));
  ASSERT_TRUE(asked);
  pair.world.run_for(seconds(3600));
  pair.restart(pair.consumer);
  EXPECT_TRUE(pair.consumer.enforcer->duties(pair.agreement).front().asked);
  pair.provider.start();
  pair.world.run_for(seconds(200));
  ASSERT_EQ(pair.provider.confirmations->waiting().value().size(), 1U);
  pair.restart(pair.provider);
  ASSERT_EQ(pair.provider.confirmations->waiting().value().size(), 1U);
  EXPECT_TRUE(pair.provider.await(pair.provider.confirmations->approve(asked->request, by)));
  EXPECT_TRUE(pair.provider.confirmations->waiting().value().empty());
  pair.world.run_for(seconds(10));
  EXPECT_EQ(pair.states(), "confirmed, confirmed");
  EXPECT_FALSE(pair.consumer.enforcer->duties(pair.agreement).front().asked);
  const auto again =
      pair.consumer.await(pair.consumer.confirmations->ask(pair.agreement, "", "", AppId()));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message.code, "transfer.consent-given");
}

TEST(Confirmations, AProviderThatCannotTellStillDecides) {
  Agreed pair;
  pair.provider.directory.tally = false;
  EXPECT_EQ(pair.confirm("r"), "done");
  pair.world.run_for(seconds(60));
  EXPECT_EQ(pair.states(), "confirmed, due");
  EXPECT_EQ(pair.confirm("r"), "done");
  EXPECT_EQ(pair.withdraw("other"), "transfer.unknown-confirmation");
  EXPECT_EQ(pair.withdraw("r"), "done");
  EXPECT_EQ(pair.confirm("r"), "transfer.reference-withdrawn");
}

}  // namespace
}  // namespace tally::transfer
