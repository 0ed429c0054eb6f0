// Transfers that rules lead: each is a list of what happens in which entry of which state, and the
// states that both sides end in.
#include <gtest/gtest.h>

#include "tally/dsp/messages.hpp"

#include "transfer/pair.hpp"

namespace tally::transfer {
namespace {

using test::Pair;

// A rule for every entry of a state (0) or for one.
Json rule(
    const std::string& role,
    const std::string& state,
    int occurrence,
    const std::string& act,
    const std::string& after = "PT0.3S"
) {
  Json json = {
      {"process", "transfer"}, {"role", role}, {"state", state}, {"do", act}, {"after", after}};
  if (occurrence > 0) json["occurrence"] = occurrence;
  return json;
}
Json provider(const std::string& state, int occurrence, const std::string& act) {
  return rule("provider", state, occurrence, act);
}
Json consumer(const std::string& state, int occurrence, const std::string& act) {
  return rule("consumer", state, occurrence, act);
}

struct Case {
  const char* name;
  std::vector<Json> provider;
  std::vector<Json> consumer;
  const char* ends;
  int started;  // how often
};

const std::vector<Case>& cases() {
  static const Json held = consumer("STARTED", 0, "wait");
  static const std::vector<Case> all = {
      {"the provider starts and terminates",
       {provider("REQUESTED", 0, "start"), provider("STARTED", 0, "terminate")},
       {held},
       "TERMINATED",
       1},
      {"the provider starts and completes",
       {provider("REQUESTED", 0, "start"), provider("STARTED", 0, "complete")},
       {held},
       "COMPLETED",
       1},
      {"the provider suspends and terminates",
       {provider("STARTED", 0, "suspend"), provider("SUSPENDED", 0, "terminate")},
       {held},
       "TERMINATED",
       1},
      {"the provider suspends, resumes and completes the second time",
       {provider("STARTED", 1, "suspend"),
        provider("SUSPENDED", 0, "resume"),
        provider("STARTED", 2, "complete")},
       {held},
       "COMPLETED",
       2},
      {"the provider terminates what was asked for",
       {provider("REQUESTED", 0, "terminate")},
       {held},
       "TERMINATED",
       0},
      {"the consumer terminates before the start",
       {provider("REQUESTED", 0, "wait")},
       {consumer("REQUESTED", 0, "terminate")},
       "TERMINATED",
       0},
      {"the consumer completes", {}, {consumer("STARTED", 0, "complete")}, "COMPLETED", 1},
      {"the consumer suspends, resumes and completes the second time",
       {},
       {consumer("STARTED", 1, "suspend"),
        consumer("SUSPENDED", 0, "resume"),
        consumer("STARTED", 2, "complete")},
       "COMPLETED",
       2},
      {"both wait", {provider("REQUESTED", 0, "wait")}, {held}, "REQUESTED", 0},
      {"the consumer waits and does not fetch", {}, {held}, "STARTED", 1},
  };
  return all;
}

TEST(TransferReactions, LeadATransferToItsEnd) {
  for (const auto& one : cases()) {
    SCOPED_TRACE(one.name);
    Pair pair;
    pair.provider.rules.read(one.provider);
    pair.consumer.rules.read(one.consumer);
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
  pair.provider.rules.read({provider("SUSPENDED", 0, "terminate")});
  pair.agree();
  const auto pid = pair.pull();
  pair.world.run_for(seconds(30));
  EXPECT_EQ(pair.state(pid), "COMPLETED");
}

TEST(TransferReactions, ADelayOutlivesARestartAndRunsFromTheEntryOfTheState) {
  Pair pair;
  pair.provider.rules.read({rule("provider", "STARTED", 0, "terminate", "PT100S")});
  pair.consumer.rules.read({consumer("STARTED", 0, "wait")});
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

TEST(TransferReactions, ARuleThatIsTakenAwayLeavesTheTransferToItself) {
  Pair pair;
  pair.consumer.rules.read({consumer("STARTED", 0, "wait")});
  pair.agree();
  const auto pid = pair.pull();
  pair.world.run_for(seconds(60));
  ASSERT_EQ(pair.state(pid), "STARTED");
  pair.consumer.rules.read({});
  ASSERT_TRUE(pair.consumer.transfers->look_again());
  pair.world.run_for(seconds(60));
  EXPECT_EQ(pair.state(pid), "COMPLETED");
}

TEST(TransferReactions, TheReasonOfARuleIsToldToThePeer) {
  Pair pair;
  auto suspends = provider("STARTED", 0, "suspend");
  suspends["reason"] = "closed at night";
  pair.provider.rules.read({suspends});
  pair.consumer.rules.read({consumer("STARTED", 0, "wait")});
  pair.agree();
  const auto pid = pair.pull();
  pair.world.run_for(seconds(60));
  const auto reason = pair.describe(pid).at("reason");
  EXPECT_EQ(reason.at("code"), "transfer.suspended-by-rule-saying") << reason.dump();
  EXPECT_EQ(reason.at("params").at("reason"), "closed at night");
}

TEST(TransferReactions, AnActWhoseStateHasMovedOnIsDropped) {
  Pair pair;
  pair.provider.rules.read({rule("provider", "STARTED", 1, "terminate", "PT20S")});
  pair.consumer.rules.read({consumer("STARTED", 0, "wait")});
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
      if (waits) pair.consumer.rules.read({consumer("STARTED", 0, "wait")});
      pair.provider.rules.read({provider("REQUESTED", 0, "wait")});
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
