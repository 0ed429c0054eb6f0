// The consumer tells the provider of each use once, whatever the wire and the power do.
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "transfer/connector.hpp"

namespace tally::transfer {
namespace {

using test::Connector;
using test::hospital;
using test::institute;
using test::research;

struct Pair {
  explicit Pair(std::uint64_t seed) : world(seed) {
    provider.duties = Json::array({{{"action", "inform"}}});
    provider.offer(institute, 8);
    consumer.informs = true;
    provider.start();
    consumer.start();
    const auto begun = consumer.negotiate(hospital, {research});
    if (!begun) throw std::runtime_error(begun.error().message.code);
    world.run_for(seconds(20));
    agreement = consumer.agreements().front().id;
    const auto pid = consumer.await(consumer.transfers->request({agreement, "HttpData-PULL"}));
    if (!pid) throw std::runtime_error(pid.error().message.code);
    world.run_for(seconds(30));
    token = consumer.add_app("reader", research);
  }

  // The uses that a record of each of these names, and how often.
  static std::map<std::string, int> uses_in(const negotiation::test::Records& records) {
    std::map<std::string, int> found;
    for (const auto& record : records) {
      if (record.contains("use")) ++found[record.at("use")];
      for (const Json& use : record.value("uses", Json::array())) ++found[use];
    }
    return found;
  }
  // Uses that are over, by the consumer's log.
  std::set<std::string> over() {
    std::set<std::string> found;
    for (const auto& record : consumer.records("use.permitted")) found.insert(record.at("event"));
    for (const auto& record : consumer.records("use.aborted")) {
      found.erase(record.at("use").get<std::string>());
    }
    return found;
  }
  // What the daemon does every second: uses that are over get their record.
  void end_uses() { consumer.enforcer->flush_completions(true); }
  void expect_told_once() {
    const auto made = over();
    std::map<std::string, int> once;
    for (const auto& use : made) once[use] = 1;
    EXPECT_EQ(uses_in(consumer.records("inform.issued")), once) << world.where();
    EXPECT_EQ(uses_in(provider.records("inform.held")), once) << world.where();
    EXPECT_EQ(uses_in(consumer.records("obligation.fulfilled")), once) << world.where();
  }

  sim::World world;
  sim::SimNetwork network{world};
  Connector provider{world, network, hospital};
  Connector consumer{world, network, institute};
  AgreementId agreement;
  std::string token;
};

TEST(Informer, TellsOfEachUseOnceItIsOver) {
  Pair pair(5);
  ASSERT_EQ(pair.consumer.read(pair.agreement, pair.token).status, 200);
  ASSERT_EQ(pair.consumer.read(pair.agreement, pair.token).status, 200);
  pair.world.run_for(seconds(30));
  EXPECT_TRUE(pair.consumer.records("inform.issued").empty());  // neither is known to be over
  pair.end_uses();
  pair.world.run_for(seconds(30));
  EXPECT_EQ(pair.over().size(), 2U);
  pair.expect_told_once();
}

TEST(Informer, WaitsForAProviderThatIsOffForADay) {
  Pair pair(6);
  pair.provider.cut_power();
  ASSERT_EQ(pair.consumer.read(pair.agreement, pair.token).status, 200);
  pair.end_uses();
  pair.world.run_for(seconds(86'400));
  EXPECT_EQ(pair.consumer.records("inform.issued").size(), 1U);
  EXPECT_TRUE(Pair::uses_in(pair.consumer.records("obligation.fulfilled")).empty());
  pair.provider.start();
  pair.world.run_for(seconds(2L * 3600));
  pair.expect_told_once();
}

TEST(Informer, TellsOnceOverLossesAndPowerCuts) {
  int cuts = 0;
  std::size_t told = 0;
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    Pair pair(seed);
    sim::Chance chance(seed);
    pair.network.faults.drop_request = 0.1;
    pair.network.faults.drop_answer = 0.2;
    pair.network.faults.double_request = 0.2;
    for (int use = 0; use < 6; ++use) {
      pair.consumer.read(pair.agreement, pair.token);
      pair.world.run_for(chance.span(0, milliseconds(900)));
      if (!chance.happens(0.5)) continue;
      Connector& victim = chance.happens(0.7) ? pair.consumer : pair.provider;
      victim.cut_power();
      ++cuts;
      pair.world.run_for(chance.span(0, seconds(2)));
      victim.start();
    }
    pair.network.faults = {};
    pair.end_uses();
    pair.world.run_for(seconds(3600));
    told += pair.over().size();
    pair.expect_told_once();
  }
  EXPECT_GT(cuts, 40);
  EXPECT_GT(told, 80U);
}

}  // namespace
}  // namespace tally::transfer
