// Suspension, resumption and end of an agreement by either side, told to the other. Two whole
// connectors, over power cuts and a wire that loses messages.
#include "tally/transfer/agreement_orders.hpp"

#include <gtest/gtest.h>

#include "transfer/pair.hpp"

namespace tally::transfer {
namespace {

using test::Connector;
using test::hospital;
using test::institute;
using test::outsider;
using test::Pair;
using test::research;

// The data is in custody; an application reads it.
struct Held : Pair {
  Held() : Pair(1000) {
    agree();
    pull();
    world.run_for(seconds(10));
    token = consumer.add_app("reader", research);
  }
  std::string read() {
    const auto answer = consumer.read(agreement, token);
    return answer.status == 200 ? "read" : answer.code;
  }
  std::string state(Connector& at) {
    const auto hold = at.enforcer->held(agreement);
    const auto closed = at.enforcer->state(agreement)->closed;
    if (closed != usage::Closed::open) return std::string(to_string(closed));
    return hold ? "held by " + std::string(to_string(hold->by)) : "open";
  }
  std::string states() { return state(provider) + ", " + state(consumer); }
  std::string suspend(Connector& at) {
    return code(at.await(at.orders->suspend(agreement, "why")));
  }
  std::string resume(Connector& at) { return code(at.await(at.orders->resume(agreement))); }
  std::string terminate(Connector& at) {
    return code(at.await(at.orders->terminate(agreement, "why")));
  }
  static std::string code(const Result<void>& result) {
    return result ? "done" : result.error().message.code;
  }
  // As it comes over the wire.
  int order(Connector& at, const PartyId& from, AgreementOrder what, Json body) {
    negotiation::Received received;
    received.caller = negotiation::test::identity_of(from);
    received.own_pid = agreement.value;
    received.request.method = "POST";
    received.request.headers.set("Content-Type", "application/json");
    received.request.body = body.dump();
    return at.await(at.orders->receive(std::move(received), what)).status;
  }
  std::string token;
};

TEST(AgreementOrders, EachSideSuspendsTheOtherAndLiftsOnlyItsOwn) {
  Held pair;
  ASSERT_EQ(pair.read(), "read");
  EXPECT_EQ(pair.suspend(pair.provider), "done");
  EXPECT_EQ(pair.state(pair.provider), "held by operator");
  pair.world.run_for(seconds(3));
  EXPECT_EQ(pair.states(), "held by operator, held by peer");
  EXPECT_EQ(pair.read(), "usage.held-by-peer");
  // The consumer suspends as well: two holds, and each side ends its own.
  EXPECT_EQ(pair.suspend(pair.consumer), "done");
  pair.world.run_for(seconds(3));
  EXPECT_EQ(pair.resume(pair.consumer), "done");
  pair.world.run_for(seconds(3));
  EXPECT_EQ(pair.states(), "held by operator, held by peer");
  EXPECT_EQ(pair.resume(pair.provider), "done");
  pair.world.run_for(seconds(3));
  EXPECT_EQ(pair.states(), "open, open");
  EXPECT_EQ(pair.read(), "read");
  // What is done already is done: no further record, no further message.
  const auto records = pair.provider.records("hold.lifted").size();
  EXPECT_EQ(pair.resume(pair.provider), "done");
  EXPECT_EQ(pair.provider.records("hold.lifted").size(), records);
}

TEST(AgreementOrders, AHoldIsTheSameAfterPowerCutsAndWhatIsOwedIsToldLater) {
  for (int step = 0; step < 6; ++step) {
    Held pair;
    pair.consumer.cut_power();  // off for hours
    EXPECT_EQ(pair.suspend(pair.provider), "done");
    pair.world.run_for(seconds(step));
    pair.provider.cut_power();
    pair.provider.start();
    EXPECT_EQ(pair.state(pair.provider), "held by operator");
    pair.world.run_for(seconds(3L * 3600));
    pair.consumer.start();
    pair.world.run_for(seconds(200));
    EXPECT_EQ(pair.states(), "held by operator, held by peer") << step;
    pair.consumer.cut_power();
    pair.consumer.start();
    EXPECT_EQ(pair.state(pair.consumer), "held by peer");
  }
}

TEST(AgreementOrders, AnEndIsToldLaterAndDestroysWhatIsHeldThere) {
  Held pair;
  pair.consumer.cut_power();
  EXPECT_EQ(pair.terminate(pair.provider), "done");
  pair.world.run_for(seconds(24L * 3600));
  pair.provider.cut_power();
  pair.provider.start();
  pair.world.run_for(seconds(24L * 3600));
  pair.consumer.start();
  pair.world.run_for(seconds(300));
  EXPECT_EQ(pair.states(), "terminated, terminated");
  EXPECT_EQ(pair.consumer.records("data.destroyed").size(), 1U);
  const auto ended = pair.consumer.records("contract.terminated");
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].at("by"), "peer");
  EXPECT_EQ(ended[0].dump().find("why"), std::string::npos);
  for (Connector* side : {&pair.provider, &pair.consumer}) {
    EXPECT_EQ(side->agreements().front().status, negotiation::AgreementStatus::terminated);
  }
  EXPECT_EQ(pair.suspend(pair.provider), "transfer.agreement-not-active");
  EXPECT_EQ(pair.terminate(pair.provider), "done");
  EXPECT_EQ(pair.provider.records("contract.terminated").size(), 1U);
  // The note of deletion has come back.
  EXPECT_FALSE(pair.provider.store->rows({"deletion_record", {}, {}, {}, 10}).value().empty());
}

TEST(AgreementOrders, OrdersThatCrossComeToOneEnd) {
  Held pair;
  EXPECT_EQ(pair.terminate(pair.provider), "done");
  EXPECT_EQ(pair.terminate(pair.consumer), "done");
  pair.world.run_for(seconds(200));
  EXPECT_EQ(pair.states(), "terminated, terminated");
  for (Connector* side : {&pair.provider, &pair.consumer}) {
    EXPECT_EQ(side->records("contract.terminated").size(), 1U);
  }
  Held crossing;
  EXPECT_EQ(crossing.suspend(crossing.provider), "done");
  EXPECT_EQ(crossing.terminate(crossing.consumer), "done");
  crossing.world.run_for(seconds(200));
  EXPECT_EQ(crossing.states(), "terminated, terminated");
}

TEST(AgreementOrders, RepeatsAndOvertakenOrdersChangeNothing) {
  Held pair;
  using Order = AgreementOrder;
  const struct {
    Order order;
    std::uint64_t number;
    const char* state;
  } rows[] = {
      {Order::suspension, 5, "held by peer"},
      {Order::suspension, 5, "held by peer"},
      {Order::resumption, 4, "held by peer"},  // of before
      {Order::resumption, 6, "open"},
      {Order::suspension, 5, "open"},
      {Order::suspension, 7, "held by peer"},
      {Order::termination, 6, "held by peer"},
      {Order::termination, 8, "terminated"},
      {Order::resumption, 9, "terminated"},
      {Order::suspension, 10, "terminated"},
  };
  for (const auto& row : rows) {
    const Json body = {{"number", row.number}, {"reason", "why"}};
    EXPECT_EQ(pair.order(pair.consumer, hospital, row.order, body), 200) << row.number;
    EXPECT_EQ(pair.state(pair.consumer), row.state) << row.number;
  }
}

TEST(AgreementOrders, OnlyTheOtherSideOrders) {
  Held pair;
  for (const auto order :
       {AgreementOrder::suspension, AgreementOrder::resumption, AgreementOrder::termination}) {
    EXPECT_EQ(pair.order(pair.provider, outsider, order, {{"number", 1}}), 404);
    EXPECT_EQ(pair.order(pair.provider, hospital, order, {{"number", 1}}), 404);  // ourselves
    EXPECT_EQ(pair.order(pair.provider, institute, order, Json::object()), 400);
    EXPECT_EQ(pair.order(pair.provider, institute, order, {{"number", 0}}), 400);
    EXPECT_EQ(pair.order(pair.provider, institute, order, {{"number", "1"}}), 400);
  }
  EXPECT_EQ(pair.states(), "open, open");
}

// It knows nothing of agreements' holds: its transfers are suspended instead.
TEST(AgreementOrders, APeerWithoutTallyHasItsTransfersSuspendedAndResumed) {
  Pair pair;
  pair.provider.directory.tally = false;
  pair.agree();
  pair.provider.refuse_data = true;
  const auto pid = pair.pull();
  pair.world.run_for(seconds(3));
  ASSERT_EQ(pair.state(pid), "STARTED");
  ASSERT_TRUE(pair.provider.await(pair.provider.orders->suspend(pair.agreement, "")));
  pair.world.run_for(seconds(3));
  EXPECT_EQ(pair.state(pid), "SUSPENDED");
  EXPECT_FALSE(pair.consumer.enforcer->held(pair.agreement));
  pair.provider.refuse_data = false;
  ASSERT_TRUE(pair.provider.await(pair.provider.orders->resume(pair.agreement)));
  pair.world.run_for(seconds(100));
  EXPECT_EQ(pair.state(pid), "COMPLETED");
}

// A hold ends no transfer: the pull that it stopped goes on by itself.
TEST(AgreementOrders, APullThatIsHeldGoesOnAfterwards) {
  for (const bool at_provider : {true, false}) {
    Pair pair;
    pair.provider.data = test::cohort_csv(400'000);
    pair.agree();
    Connector& holding = at_provider ? pair.provider : pair.consumer;
    pair.provider.refuse_data = true;
    const auto pid = pair.pull();
    pair.world.run_for(seconds(2));
    usage::Hold stop;
    stop.id = "stop";
    ASSERT_TRUE(holding.await(holding.holds->place(stop)));
    pair.provider.refuse_data = false;
    pair.world.run_for(seconds(600));
    EXPECT_EQ(pair.state(pid), "STARTED");
    EXPECT_TRUE(pair.provider.records("transfer.sent").empty());
    ASSERT_TRUE(holding.await(holding.holds->lift("stop", usage::HoldBy::operator_, "")));
    pair.world.run_for(seconds(200));
    EXPECT_EQ(pair.state(pid), "COMPLETED") << pair.describe(pid).dump(1);
  }
}

// Under a hold nothing new begins, and nothing ends of it.
TEST(AgreementOrders, NothingBeginsUnderAHold) {
  Held pair;
  usage::Hold stop;
  stop.id = "stop";
  ASSERT_TRUE(pair.consumer.await(pair.consumer.holds->place(stop)));
  const auto begun =
      pair.consumer.await(pair.consumer.transfers->request({pair.agreement, "HttpData-PULL"}));
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().message.code, "usage.held-by-operator");
}

}  // namespace
}  // namespace tally::transfer
