// Two whole connectors: the hospital offers its cohort to the institute.
#pragma once

#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

#include "transfer/connector.hpp"
#include "transfer/transfer_process.hpp"

namespace tally::transfer::test {

struct Pair {
  explicit Pair(int count = 3, const std::string& until = "2027-01-01T00:00:00Z") {
    provider.offer(institute, count, until);
  }

  // Up to an active agreement.
  void agree() {
    provider.start();
    consumer.start();
    const auto begun = consumer.negotiate(hospital, {research});
    if (!begun) throw std::runtime_error(begun.error().message.code);
    world.run_for(seconds(10));
    agreement = consumer.agreements().front().id;
  }
  Pid pull() {
    const auto pid = consumer.await(consumer.transfers->request({agreement, "HttpData-PULL"}));
    if (!pid) throw std::runtime_error(pid.error().message.code);
    return *pid;
  }
  Json describe(const Pid& pid) { return consumer.transfers->describe(pid).value(); }
  Json providers(const Pid& pid) {
    return provider.transfers->describe(Pid(describe(pid).at("peerPid"))).value();
  }
  std::string state(const Pid& pid) { return describe(pid).at("state"); }
  Pid provider_pid(const Pid& pid) { return Pid(describe(pid).at("peerPid").get<std::string>()); }
  // What stands in the consumer's row.
  Process process(const Pid& pid) {
    return parse_process(*consumer.store->row(process_kind, pid.value).value()).value();
  }

  sim::World world{3};
  sim::SimNetwork network{world};
  Connector provider{world, network, hospital};
  Connector consumer{world, network, institute};
  AgreementId agreement;
};

}  // namespace tally::transfer::test
