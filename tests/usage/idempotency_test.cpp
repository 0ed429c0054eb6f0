#include <functional>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
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

void finish(Rig& rig, const Result<Authorised>& answer) {
  Outcome done;
  done.bytes = 10;
  rig.enforcer->complete(std::get<Grant>(*answer), done);
}

// What follows a first use with the key "k": a change of the request or the world, and whether it
// continues that use.
TEST(Usage, ARepeatContinuesItsUseAndNothingElseDoes) {
  struct Case {
    const char* name;
    std::function<void(Rig&, Act&)> change;
    std::string expected;
    std::int64_t uses;
  };
  const std::vector<Case> cases = {
      {"the same again", [](Rig&, Act&) {}, "repeated", 1},
      {"another key", [](Rig&, Act& one) { one.idempotency_key = "l"; }, "permitted", 2},
      {"no key", [](Rig&, Act& one) { one.idempotency_key = ""; }, "permitted", 2},
      {"another application", [](Rig&, Act& one) { one.app = AppId("other"); }, "permitted", 2},
      {"another action", [](Rig&, Act& one) { one.action = odrl::iri::derive; }, "permitted", 2},
      {"another purpose", [](Rig&, Act& one) { one.purposes = {test::marketing}; }, "permitted", 2},
      {"another agreement",
       [](Rig&, Act& one) { one.agreement = AgreementId("urn:test:b"); },
       "permitted",
       1},
      {"within a day", [](Rig& rig, Act&) { rig.world.run_for(seconds(86'000)); }, "repeated", 1},
      {"after a day", [](Rig& rig, Act&) { rig.world.run_for(seconds(86'500)); }, "permitted", 2},
      {"after a restart",
       [](Rig& rig, Act&) {
         rig.stop();
         rig.start();
       },
       "repeated",
       1},
      {"after a power cut",
       [](Rig& rig, Act&) {
         rig.cut_power();
         rig.start();
       },
       "repeated",
       1},
      {"after sixteen",
       [](Rig& rig, Act& one) {
         for (int i = 0; i < 16; ++i) {
           const auto answer = rig.authorise(one);
           ASSERT_EQ(outcome(answer), "repeated");
           finish(rig, answer);
         }
       },
       "permitted",
       2},
      {"after sixteen and a restart",
       [](Rig& rig, Act& one) {
         for (int i = 0; i < 16; ++i) finish(rig, rig.authorise(one));
         rig.stop();
         rig.start();
       },
       "permitted",
       2},
      {"of a closed agreement",
       [](Rig& rig, Act&) {
         auto record = test::draft(rig, "policy.revoked", id);
         ASSERT_TRUE(rig.await(rig.enforcer->close(AgreementId(id), Closed::terminated, record)));
       },
       "usage.closed",
       1},
  };
  for (const auto& one : cases) {
    Rig rig;
    rig.start();
    rig.agree(terms(id, policy(Json::array())));
    rig.agree(terms("urn:test:b", policy(Json::array())));
    const auto first = rig.authorise(act(id, "k"));
    ASSERT_EQ(outcome(first), "permitted") << one.name;
    finish(rig, first);
    Act again = act(id, "k");
    one.change(rig, again);
    const auto answer = rig.authorise(again);
    EXPECT_EQ(outcome(answer), one.expected) << one.name;
    EXPECT_EQ(rig.enforcer->state(AgreementId(id))->uses, one.uses) << one.name;
    if (one.expected == "repeated") {
      EXPECT_EQ(std::get<Grant>(*answer).use, std::get<Grant>(*first).use) << one.name;
    }
  }
}

TEST(Usage, TheLastUseMayBeRepeated) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(3)}))));
  ASSERT_TRUE(rig.use(id));
  ASSERT_TRUE(rig.use(id));
  for (int i = 0; i < 10; ++i) {
    const auto answer = rig.authorise(act(id, "k"));
    EXPECT_EQ(outcome(answer), i == 0 ? "permitted" : "repeated");
    finish(rig, answer);
  }
  EXPECT_EQ(outcome(rig.authorise(act(id, "l"))), "usage.limit-reached");
  EXPECT_EQ(rig.records("use.permitted").size(), 3U);
}

// A repeat is decided as if its use had not been: the interval runs from the use before it.
TEST(Usage, ARepeatDoesNotWaitForItsOwnInterval) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({test::atom("timeInterval", "gteq", "P1D"), limit(9)}))));
  EXPECT_EQ(outcome(rig.authorise(act(id, "one"))), "permitted");
  EXPECT_EQ(outcome(rig.authorise(act(id, "one"))), "repeated");
  EXPECT_EQ(outcome(rig.authorise(act(id, "two"))), "usage.interval");
  rig.world.run_for(seconds(86'400));
  EXPECT_EQ(outcome(rig.authorise(act(id, "two"))), "permitted");
  EXPECT_EQ(outcome(rig.authorise(act(id, "two"))), "repeated");
  EXPECT_EQ(outcome(rig.authorise(act(id, "three"))), "usage.interval");
  EXPECT_EQ(rig.records("use.permitted").size(), 2U);
}

TEST(Usage, ARepeatIsRefusedOnceThePolicyHasEnded) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({test::atom("dateTime", "lt", "2026-01-01T01:00:00Z")}))));
  ASSERT_EQ(outcome(rig.authorise(act(id, "k"))), "permitted");
  rig.world.run_for(seconds(3600));
  EXPECT_EQ(outcome(rig.authorise(act(id, "k"))), "usage.expired");
}

TEST(Usage, OnlySoManyKeysAreRemembered) {
  Limits limits;
  limits.use_keys = 4;
  Rig rig(1, limits);
  rig.start();
  rig.agree(terms(id, policy(Json::array())));
  for (int i = 0; i < 6; ++i) finish(rig, rig.authorise(act(id, "k" + std::to_string(i))));
  EXPECT_EQ(outcome(rig.authorise(act(id, "k5"))), "repeated");
  EXPECT_EQ(outcome(rig.authorise(act(id, "k2"))), "repeated");
  EXPECT_EQ(outcome(rig.authorise(act(id, "k1"))), "permitted");
}

// Ten at once, before the record of the first is on the disk.
TEST(Usage, RepeatsInFlightWaitForTheRecordOfTheFirst) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(1)}))));
  rig.commit_after(milliseconds(50));
  std::vector<Result<Authorised>> answers;
  const auto client = [&]() -> awaitable<void> {
    Act asked = act(id, "k");
    auto answer = co_await rig.enforcer->authorise(std::move(asked));
    answers.push_back(std::move(answer));
  };
  for (int i = 0; i < 10; ++i) {
    boost::asio::co_spawn(rig.node->executor(), client(), [](std::exception_ptr thrown) {
      EXPECT_FALSE(thrown);
    });
  }
  rig.world.run_for(milliseconds(40));
  EXPECT_TRUE(answers.empty());
  EXPECT_TRUE(rig.records("use.permitted").empty());
  rig.world.run_for(milliseconds(200));
  ASSERT_EQ(answers.size(), 10U);
  int repeated = 0;
  for (const auto& answer : answers) {
    ASSERT_TRUE(answer);
    ASSERT_TRUE(std::holds_alternative<Grant>(*answer));
    repeated += std::get<Grant>(*answer).repeated ? 1 : 0;
    EXPECT_EQ(std::get<Grant>(*answer).use, std::get<Grant>(*answers.front()).use);
  }
  EXPECT_EQ(repeated, 9);
  EXPECT_EQ(rig.records("use.permitted").size(), 1U);
}

// The one who asked first is cut off while the record is on its way; the one who asks again waits
// for the same record.
TEST(Usage, ARepeatOutlivesTheRequestThatBeganTheUse) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(1)}))));
  rig.commit_after(milliseconds(50));
  std::vector<std::string> outcomes;
  const auto client = [&]() -> awaitable<void> {
    Act asked = act(id, "k");
    auto answer = co_await rig.enforcer->authorise(std::move(asked));
    outcomes.push_back(outcome(answer));
  };
  boost::asio::cancellation_signal cut;
  boost::asio::co_spawn(
      rig.node->executor(),
      client(),
      boost::asio::bind_cancellation_slot(cut.slot(), [](std::exception_ptr) {})
  );
  rig.world.run_for(milliseconds(10));
  boost::asio::co_spawn(rig.node->executor(), client(), [](std::exception_ptr) {});
  rig.world.run_for(milliseconds(10));
  cut.emit(boost::asio::cancellation_type::terminal);
  rig.world.run_for(milliseconds(10));
  EXPECT_EQ(outcomes, std::vector<std::string>{"audit.wait-cancelled"});
  rig.world.run_for(milliseconds(100));
  ASSERT_EQ(outcomes.size(), 2U);
  EXPECT_EQ(outcomes[1], "repeated");
  EXPECT_EQ(outcome(rig.authorise(act(id))), "usage.limit-reached");
}

TEST(Usage, RepeatsInFlightAllFailWithTheLog) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(3)}))));
  rig.disk.fail_sync(1, true);
  std::vector<std::string> outcomes;
  const auto client = [&]() -> awaitable<void> {
    Act asked = act(id, "k");
    auto answer = co_await rig.enforcer->authorise(std::move(asked));
    outcomes.push_back(outcome(answer));
  };
  for (int i = 0; i < 3; ++i) {
    boost::asio::co_spawn(rig.node->executor(), client(), [](std::exception_ptr) {});
  }
  rig.settle();
  EXPECT_EQ(outcomes, std::vector<std::string>(3, "audit.log-failed"));
  EXPECT_EQ(rig.enforcer->state(AgreementId(id))->uses, 1);
}

}  // namespace
}  // namespace tally::usage
