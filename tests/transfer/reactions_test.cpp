// Transfers that rules lead: each is a list of what happens in which entry of which state, and the
// states that both sides end in.
#include <gtest/gtest.h>

#include "tally/dsp/messages.hpp"

#include "transfer/pair.hpp"

namespace tally::transfer {
namespace {

using negotiation::Act;
using negotiation::Reaction;
using test::Pair;
using Rule = test::Rules::Rule;

Rule rule(std::string state, int occurrence, Act act, Nanos after = milliseconds(300)) {
  Reaction reaction;
  reaction.act = act;
  reaction.after = after;
  reaction.rule = "test.json/rules/0";
  return {std::move(state), occurrence, reaction};
}

struct Case {
  const char* name;
  std::vector<Rule> provider;
  std::vector<Rule> consumer;
  const char* ends;
  int started;  // how often
};

const std::vector<Case>& cases() {
  static const Rule held = rule("STARTED", 0, Act::wait);
  static const std::vector<Case> all = {
      {"the provider starts and terminates",
       {rule("REQUESTED", 0, Act::start), rule("STARTED", 0, Act::terminate)},
       {held},
       "TERMINATED",
       1},
      {"the provider starts and completes",
       {rule("REQUESTED", 0, Act::start), rule("STARTED", 0, Act::complete)},
       {held},
       "COMPLETED",
       1},
      {"the provider suspends and terminates",
       {rule("STARTED", 0, Act::suspend), rule("SUSPENDED", 0, Act::terminate)},
       {held},
       "TERMINATED",
       1},
      {"the provider suspends, resumes and completes the second time",
       {rule("STARTED", 1, Act::suspend),
        rule("SUSPENDED", 0, Act::resume),
        rule("STARTED", 2, Act::complete)},
       {held},
       "COMPLETED",
       2},
      {"the provider terminates what was asked for",
       {rule("REQUESTED", 0, Act::terminate)},
       {held},
       "TERMINATED",
       0},
      {"the consumer terminates before the start",
       {rule("REQUESTED", 0, Act::wait)},
       {rule("REQUESTED", 0, Act::terminate)},
       "TERMINATED",
       0},
      {"the consumer completes", {}, {rule("STARTED", 0, Act::complete)}, "COMPLETED", 1},
      {"the consumer suspends, resumes and completes the second time",
       {},
       {rule("STARTED", 1, Act::suspend),
        rule("SUSPENDED", 0, Act::resume),
        rule("STARTED", 2, Act::complete)},
       "COMPLETED",
       2},
      {"both wait", {rule("REQUESTED", 0, Act::wait)}, {held}, "REQUESTED", 0},
      {"the consumer waits and does not fetch", {}, {held}, "STARTED", 1},
  };
  return all;
}

TEST(TransferReactions, LeadATransferToItsEnd) {
  for (const auto& one : cases()) {
    SCOPED_TRACE(one.name);
    Pair pair;
    pair.provider.rules.list = one.provider;
    pair.consumer.rules.list = one.consumer;
    pair.agree();
    const auto pid = pair.pull();
    pair.world.run_for(seconds(60));
    EXPECT_EQ(pair.state(pid), one.ends) << pair.describe(pid).dump(1);
    EXPECT_EQ(pair.providers(pid).at("state"), one.ends) << pair.providers(pid).dump(1);
    EXPECT_TRUE(pair.provider.data_sent.empty());
    for (auto* side : {&pair.provider, &pair.consumer}) {
      EXPECT_EQ(side->records("transfer.started").size(), static_cast<std::size_t>(one.started));
    }
  }
}

TEST(TransferReactions, WithNoRuleEverythingIsAsAlways) {
  Pair pair;
  pair.provider.rules.list = {rule("SUSPENDED", 0, Act::terminate)};
  pair.agree();
  const auto pid = pair.pull();
  pair.world.run_for(seconds(30));
  EXPECT_EQ(pair.state(pid), "COMPLETED");
}

TEST(TransferReactions, ADelayOutlivesARestartAndRunsFromTheEntryOfTheState) {
  Pair pair;
  pair.provider.rules.list = {rule("STARTED", 0, Act::terminate, seconds(100))};
  pair.consumer.rules.list = {rule("STARTED", 0, Act::wait)};
  pair.agree();
  const auto pid = pair.pull();
  pair.world.run_for(seconds(60));
  EXPECT_EQ(pair.state(pid), "STARTED");
  pair.provider.cut_power();
  pair.provider.start();
  pair.world.run_for(seconds(30));
  EXPECT_EQ(pair.state(pid), "STARTED");
  pair.world.run_for(seconds(20));
  EXPECT_EQ(pair.state(pid), "TERMINATED");
}

TEST(TransferReactions, AnActWhoseStateHasMovedOnIsDropped) {
  Pair pair;
  pair.provider.rules.list = {rule("STARTED", 1, Act::terminate, seconds(20))};
  pair.consumer.rules.list = {rule("STARTED", 0, Act::wait)};
  pair.agree();
  const auto pid = pair.pull();
  pair.world.run_for(seconds(5));
  const auto theirs = pair.provider_pid(pid);
  const Message pause{"transfer.suspended-by-operator", {}};
  ASSERT_TRUE(pair.provider.await(pair.provider.transfers->suspend(theirs, pause)));
  pair.world.run_for(seconds(2));
  ASSERT_TRUE(pair.provider.await(pair.provider.transfers->restart(theirs)));
  pair.world.run_for(seconds(60));
  EXPECT_EQ(pair.state(pid), "STARTED");  // the second time, of which no rule speaks
}

TEST(TransferReactions, AConsumerThatWaitsEndsNothingForAnAddressItCannotUse) {
  for (const bool waits : {true, false}) {
    for (const bool without_endpoint : {true, false}) {
      Pair pair;
      if (waits) pair.consumer.rules.list = {rule("STARTED", 0, Act::wait)};
      pair.provider.rules.list = {rule("REQUESTED", 0, Act::wait)};
      pair.agree();
      const auto pid = pair.pull();
      pair.world.run_for(seconds(5));
      dsp::TransferStartMessage message;
      message.id = "urn:test:start";
      message.consumer_pid = pid;
      message.provider_pid = pair.provider_pid(pid);
      dsp::DataAddress address;
      address.endpoint_type = "https://w3id.org/idsa/v4.1/HTTP";
      if (!without_endpoint) address.endpoint = "http://example.com";
      message.data_address = address;
      const auto path = "/dsp/2025-1/transfers/" + percent_encode_segment(pid.value) + "/start";
      const auto answer =
          pair.consumer.receive("POST", path, dsp::to_json(message), test::hospital);
      ASSERT_EQ(answer.status, 200) << answer.body;
      pair.world.run_for(seconds(60));
      const auto shown = pair.describe(pid);
      EXPECT_EQ(shown.at("state"), waits ? "STARTED" : "TERMINATED") << shown.dump(1);
      if (waits) continue;
      EXPECT_EQ(
          shown.at("reason").at("code"),
          without_endpoint ? "transfer.no-data-address" : "transfer.endpoint-not-allowed"
      );
    }
  }
}

}  // namespace
}  // namespace tally::transfer
