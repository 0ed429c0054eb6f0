// Everything that is open ends in a store on which nothing runs, at whatever moment it stopped.
#include "tally/negotiation/end_all.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "tally/negotiation/agreement.hpp"

#include "negotiation/machine.hpp"

namespace tally::negotiation {
namespace {

using test::hospital;
using test::institute;
using test::Machine;

const Message reason{"negotiation.log-given-up", {{"log", "x/log/1"}}};

Ended end_all_of(Machine& machine) {
  sim::Node node(machine.world, "offline");
  sim::MemoryStore store(node, machine.image);
  Transaction change;
  const auto ended = end_all(store, {node.clock(), node.random(), machine.self, reason, 1}, change);
  if (!ended) throw std::runtime_error(ended.error().message.code);
  if (!sim::await(node, store.commit(std::move(change)))) throw std::runtime_error("commit");
  // A second look finds nothing open.
  Transaction none;
  const auto again = end_all(store, {node.clock(), node.random(), machine.self, reason, 1}, none);
  if (!again || again->agreements + again->processes != 0 || !none.puts.empty()) {
    throw std::runtime_error("something is open still");
  }
  return *ended;
}

TEST(EndAll, LeavesNothingOpenAtAnyMomentOfANegotiation) {
  std::set<std::string> met;  // states in which it was cut
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    sim::World world(seed);
    sim::SimNetwork network(world);
    Machine provider(world, network, hospital);
    Machine consumer(world, network, institute);
    provider.offers.offers["urn:test:offer"] = {test::cohort_offer(), {institute}};
    provider.start();
    consumer.start();
    const auto pid = consumer.await(consumer.negotiations->negotiate(test::order_for(hospital)));
    ASSERT_TRUE(pid);
    world.run_for(world.chance().span(0, milliseconds(500)));
    Machine& cut = seed % 2 == 0 ? consumer : provider;
    Machine& other = seed % 2 == 0 ? provider : consumer;
    cut.cut_power();
    const Ended ended = end_all_of(cut);
    cut.start();
    world.run_for(seconds(300));
    // A request that had not come yet: what begins afterwards is nothing that was open.
    if (ended.agreements + ended.processes == 0) continue;

    Store::Query query;
    query.kind = "agreement";
    const auto agreements = cut.store->rows(query).value();
    for (const auto& row : agreements) {
      EXPECT_EQ(row.state, "terminated") << seed;
      // The records of one agreement: one of its end, and nothing after it.
      std::vector<std::string> types;
      for (const auto& record : cut.records()) {
        if (record.value("agreement", "") == row.id) types.push_back(record.at("type"));
      }
      ASSERT_FALSE(types.empty()) << seed;
      EXPECT_EQ(types.back(), "contract.terminated") << seed;
      EXPECT_EQ(std::count(types.begin(), types.end(), "contract.terminated"), 1) << seed;
      const auto state = cut.enforcer->state(AgreementId(row.id));
      if (state) {
        EXPECT_EQ(state->closed, usage::Closed::terminated) << seed;
      }
    }
    for (Machine* side : {&cut, &other}) {
      query.kind = "negotiation";
      const auto processes = side->store->rows(query).value();
      for (const auto& row : processes) {
        EXPECT_TRUE(row.state == "TERMINATED" || row.state == "FINALIZED") << seed << row.state;
      }
      EXPECT_TRUE(side->store->messages()->empty()) << seed;
    }
    if (ended.processes != 0) met.insert("under way");
    if (ended.agreements != 0 && ended.processes == 0) met.insert("in force");
  }
  EXPECT_EQ(met.size(), 2U);
}

}  // namespace
}  // namespace tally::negotiation
