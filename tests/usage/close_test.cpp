#include <functional>

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::limit;
using test::outcome;
using test::policy;
using test::Rig;
using test::terms;

constexpr const char* id = "urn:test:a";

Result<void> close(Rig& rig, Closed state) {
  auto record = test::draft(rig, "policy.revoked", id);
  return rig.await(rig.enforcer->close(AgreementId(id), state, std::move(record)));
}
Result<void> reopen(Rig& rig) {
  auto record = test::draft(rig, "transfer.started", id);
  return rig.await(rig.enforcer->reopen(AgreementId(id), std::move(record)));
}

std::string code(const Result<void>& result) {
  return result ? "ok" : result.error().message.code;
}

// Every state × every move.
TEST(Usage, AnEntryClosesForwardsAndOpensOnlyFromSuspended) {
  const std::vector<Closed> states = {
      Closed::open, Closed::suspended, Closed::expired, Closed::terminated};
  const std::map<Closed, std::string> refused = {
      {Closed::open, "permitted"},
      {Closed::suspended, "usage.suspended"},
      {Closed::expired, "usage.ended"},
      {Closed::terminated, "usage.closed"},
  };
  for (const Closed from : states) {
    for (const Closed to : states) {
      Rig rig;
      rig.start();
      rig.agree(terms(id, policy(Json::array())));
      if (from != Closed::open) {
        ASSERT_TRUE(close(rig, from));
      }
      const auto records = rig.records().size();
      const std::string name = std::string(to_string(from)) + " to " + std::string(to_string(to));
      Closed expected = to;
      if (to == Closed::open) {
        const bool legal = from == Closed::suspended;
        EXPECT_EQ(code(reopen(rig)), legal ? "ok" : "usage.not-suspended") << name;
        expected = legal ? Closed::open : from;
        EXPECT_EQ(rig.records().size(), records + (legal ? 1 : 0)) << name;
      } else if (to < from) {
        EXPECT_EQ(code(close(rig, to)), "usage.already-closed") << name;
        expected = from;
        EXPECT_EQ(rig.records().size(), records) << name;
      } else {
        EXPECT_EQ(code(close(rig, to)), "ok") << name;
        // The same state once more is said once.
        EXPECT_EQ(rig.records().size(), records + (to == from ? 0 : 1)) << name;
      }
      EXPECT_EQ(rig.enforcer->state(AgreementId(id))->closed, expected) << name;
      EXPECT_EQ(outcome(rig.authorise(act(id))), refused.at(expected)) << name;
      rig.stop();
      rig.start();
      EXPECT_EQ(rig.enforcer->state(AgreementId(id))->closed, expected) << name;
      EXPECT_EQ(outcome(rig.authorise(act(id))), refused.at(expected)) << name;
    }
  }
}

// No permit of an agreement stands between its closing and its opening record.
void expect_nothing_overtook_a_close(Rig& rig) {
  bool closed = false;
  std::size_t closes = 0;
  for (const auto& record : rig.records()) {
    if (record.agreement != id) continue;
    if (record.body.contains("ledger")) {
      closed = record.body["ledger"] != "open";
      closes += closed ? 1 : 0;
    }
    if (record.type == "use.permitted") {
      EXPECT_FALSE(closed) << record.event << ", " << rig.world.where();
    }
  }
  EXPECT_GT(closes, 0U);
}

TEST(Usage, NothingOvertakesAClose) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Rig rig(seed);
    rig.start();
    rig.agree(terms(id, policy(Json::array())));
    std::size_t granted = 0;
    const auto client = [&]() -> awaitable<void> {
      for (int i = 0; i < 20; ++i) {
        Act asked = act(id);
        auto answer = co_await rig.enforcer->authorise(std::move(asked));
        granted += outcome(answer) == "permitted" ? 1 : 0;
        const Nanos pause = rig.world.chance().span(0, milliseconds(3));
        co_await rig.node->timers().sleep_for(pause);
      }
    };
    const auto operate = [&]() -> awaitable<void> {
      for (int i = 0; i < 5; ++i) {
        const Nanos pause = rig.world.chance().span(0, milliseconds(10));
        co_await rig.node->timers().sleep_for(pause);
        auto suspend = test::draft(rig, "policy.revoked", id);
        auto closed =
            co_await rig.enforcer->close(AgreementId(id), Closed::suspended, std::move(suspend));
        EXPECT_TRUE(closed);
        if (i == 4) break;
        auto open = test::draft(rig, "transfer.started", id);
        auto opened = co_await rig.enforcer->reopen(AgreementId(id), std::move(open));
        EXPECT_TRUE(opened);
      }
    };
    for (int i = 0; i < 8; ++i) {
      boost::asio::co_spawn(rig.node->executor(), client(), [](std::exception_ptr) {});
    }
    boost::asio::co_spawn(rig.node->executor(), operate(), [](std::exception_ptr) {});
    rig.world.run_for(seconds(5));
    EXPECT_GT(granted, 0U);
    expect_nothing_overtook_a_close(rig);
  }
}

TEST(Usage, ASuspensionBehindAReopeningStays) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array())));
  ASSERT_TRUE(close(rig, Closed::suspended));
  rig.commit_after(milliseconds(50));
  std::optional<Result<void>> opened;
  const auto opening = [&]() -> awaitable<void> {
    auto record = test::draft(rig, "transfer.started", id);
    auto result = co_await rig.enforcer->reopen(AgreementId(id), std::move(record));
    opened = std::move(result);
  };
  boost::asio::co_spawn(rig.node->executor(), opening(), [](std::exception_ptr) {});
  rig.world.run_for(milliseconds(10));
  ASSERT_TRUE(close(rig, Closed::suspended));
  rig.settle();
  ASSERT_TRUE(opened);
  EXPECT_EQ(code(*opened), "usage.not-suspended");
  EXPECT_EQ(outcome(rig.authorise(act(id))), "usage.suspended");
  rig.stop();
  rig.start();
  EXPECT_EQ(outcome(rig.authorise(act(id))), "usage.suspended");
}

TEST(Usage, AClosingThatTheLogDoesNotTakeStillCloses) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array())));
  rig.disk.fail_write(1, true);
  EXPECT_EQ(code(close(rig, Closed::terminated)), "audit.log-failed");
  EXPECT_EQ(rig.enforcer->state(AgreementId(id))->closed, Closed::terminated);
}

// For records that go through the journal.
TEST(Usage, ShutClosesAtOnceAndTheRecordMayFollow) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array())));
  ASSERT_TRUE(rig.use(id));
  EXPECT_TRUE(rig.enforcer->shut(AgreementId(id), Closed::suspended));
  EXPECT_EQ(outcome(rig.authorise(act(id))), "usage.suspended");
  EXPECT_TRUE(rig.enforcer->open_again(AgreementId(id)));
  EXPECT_EQ(outcome(rig.authorise(act(id))), "permitted");
  EXPECT_TRUE(rig.enforcer->shut(AgreementId(id), Closed::terminated));
  EXPECT_FALSE(rig.enforcer->shut(AgreementId(id), Closed::suspended));
  EXPECT_FALSE(rig.enforcer->open_again(AgreementId(id)));
  auto record = test::draft(rig, "contract.terminated", id);
  EXPECT_TRUE(rig.await(audit::append(*rig.log, std::move(record))));
  rig.stop();
  rig.start();
  EXPECT_EQ(outcome(rig.authorise(act(id))), "usage.closed");
}

}  // namespace
}  // namespace tally::usage
