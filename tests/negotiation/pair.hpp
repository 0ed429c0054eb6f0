// Two connectors that negotiate over the simulated wire: the hospital provides, the institute asks.
#pragma once

#include <stdexcept>

#include "negotiation/machine.hpp"

namespace tally::negotiation::test {

struct Pair {
  explicit Pair(std::uint64_t seed = 1) : world(seed) {
    provider.offers.offers["urn:test:offer"] = {test::cohort_offer(), {institute}};
  }
  void start() {
    provider.start();
    consumer.start();
  }
  Pid negotiate(NegotiateOrder order) {
    auto pid = consumer.await(consumer.negotiations->negotiate(std::move(order)));
    if (!pid) throw std::runtime_error(pid.error().message.code + pid.error().pointer);
    return *pid;
  }
  // The consumer's view once the world has come to rest.
  Json settled(const Pid& pid) {
    world.run_for(seconds(30));
    auto json = consumer.negotiations->describe(pid);
    return json ? *json : Json{{"state", json.error().message.code}};
  }
  Json providers_view(const Json& consumers) {
    auto json = provider.negotiations->describe(Pid(consumers.at("peerPid")));
    return json ? *json : Json{{"state", json.error().message.code}};
  }

  sim::World world;
  sim::SimNetwork network{world};
  Machine provider{world, network, hospital};
  Machine consumer{world, network, institute};
};

}  // namespace tally::negotiation::test
