// Counter-offers and approvals under dropped, delayed and doubled messages and power cuts: both
// sides come to the same end, and every decision is recorded once.
#include <gtest/gtest.h>

#include "negotiation/pair.hpp"

namespace tally::negotiation {
namespace {

using test::hospital;
using test::Machine;
using test::order_for;
using test::Pair;

Json terms(int count) {
  Json policy = test::offer_policy("urn:test:x", count);
  for (const char* member : {"@id", "@type", "target"}) policy.erase(member);
  return policy;
}

class Disturbed {
 public:
  explicit Disturbed(std::uint64_t seed) : pair_(seed) {
    auto& faults = pair_.network.faults;
    faults.drop_request = 0.1;
    faults.drop_answer = 0.1;
    faults.double_request = 0.1;
    faults.most_delay = milliseconds(200);
    pair_.provider.offers.offers["urn:test:offer"].offer.decide = Decide::by_person;
    // The consumer counters once by rule; people do the rest.
    pair_.consumer.rules.read(
        {{{"process", "negotiation"},
          {"role", "consumer"},
          {"state", "OFFERED"},
          {"occurrence", 1},
          {"after", "PT2S"},
          {"do", "counter"},
          {"policy", terms(2)}}}
    );
    pair_.start();
  }

  Json play() {
    auto order = order_for(hospital);
    order.counter_offers = Decide::by_person;
    const auto pid = pair_.negotiate(std::move(order));
    for (int round = 0; round < 400; ++round) {
      pair_.world.run_for(pair_.world.chance().span(0, seconds(2)));
      disturb(pair_.provider);
      disturb(pair_.consumer);
      const int rounds = pair_.provider.negotiations->approvals().value().empty() ? 0 : 1;
      if (rounds > 0) decide(pair_.provider);
      decide_as_consumer();
      const auto mine = pair_.consumer.negotiations->describe(pid).value();
      if (mine.at("state") == "FINALIZED" || mine.at("state") == "TERMINATED") break;
    }
    pair_.network.faults = {};
    // The longest pause between two attempts.
    pair_.world.run_for(seconds(120));
    return pair_.settled(pid);
  }

  Pair pair_;

 private:
  void disturb(Machine& machine) {
    if (pair_.world.chance().span(0, 100) > 6) return;
    machine.cut_power();
    pair_.world.run_for(pair_.world.chance().span(0, seconds(1)));
    machine.start();
  }

  // The first time a counter-offer, then an approval.
  void decide(Machine& machine) {
    const auto items = machine.negotiations->approvals().value();
    const Pid pid(items.front().at("id").get<std::string>());
    const Decider by{"operator", "0"};
    const bool first = machine.records("approval.rejected").empty();
    // A conflict only says that it has moved on meanwhile.
    (void)(first ? machine.await(machine.negotiations->counter(pid, by, terms(1)))
                 : machine.await(machine.negotiations->approve(pid, by)));
  }

  void decide_as_consumer() {
    const auto items = pair_.consumer.negotiations->approvals().value();
    for (const auto& item : items) {
      const Pid pid(item.at("id").get<std::string>());
      (void)pair_.consumer.await(pair_.consumer.negotiations->approve(pid, {"operator", "1"}));
    }
  }
};

std::vector<std::string> offered(Machine& machine) {
  std::vector<std::string> found;
  for (const auto& record : machine.records("contract.offered")) {
    found.push_back(record.at("policy").get<std::string>());
  }
  return found;
}

TEST(DisturbedNegotiation, ComesToTheSameEndOnBothSides) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Disturbed story(seed);
    const auto mine = story.play();
    auto& pair = story.pair_;
    ASSERT_EQ(mine.at("state"), "FINALIZED") << seed << mine.dump(1);
    const auto theirs = pair.providers_view(mine);
    ASSERT_EQ(theirs.at("state"), "FINALIZED") << seed << theirs.dump(1);
    ASSERT_EQ(theirs.at("agreement"), mine.at("agreement")) << seed;
    ASSERT_EQ(offered(pair.provider), offered(pair.consumer)) << seed;
    ASSERT_EQ(offered(pair.provider).size(), 3U) << seed;
    ASSERT_EQ(pair.provider.records("approval.requested").size(), 2U) << seed;
    ASSERT_EQ(pair.provider.records("approval.rejected").size(), 1U) << seed;
    ASSERT_EQ(pair.provider.records("approval.approved").size(), 1U) << seed;
    ASSERT_TRUE(pair.provider.negotiations->approvals().value().empty()) << seed;
  }
}

}  // namespace
}  // namespace tally::negotiation
