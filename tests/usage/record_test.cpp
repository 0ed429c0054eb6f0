#include <gtest/gtest.h>

#include "tally/audit/verify.hpp"

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::limit;
using test::policy;
using test::Rig;
using test::terms;

const std::string id = "urn:uuid:7d0f4f1c-2b1e-4d57-9a59-0f1f3a2b4c5d";
const std::string content =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// What one of `count` uses adds to the log, permit and share of use.executed together.
double bytes_per_use(Rig& rig, const Act& asked, int count) {
  for (int i = 0; i < count; ++i) {
    const auto answer = rig.authorise(asked);
    Outcome done;
    done.bytes = 1024;
    done.content = content;
    rig.enforcer->complete(std::get<Grant>(*answer), done);
  }
  rig.enforcer->flush_completions(true);
  rig.settle();
  std::size_t bytes = 0;
  for (const auto& record : rig.records()) {
    // Four bytes of the frame say how long each record is.
    if (record.type.starts_with("use.")) bytes += record.bytes + 4;
  }
  return static_cast<double>(bytes) / count;
}

TEST(Usage, APlainUseCostsAtMost640BytesOfLog) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(1000)}))));
  Act plain = act(id);
  plain.app = AppId();
  plain.purposes = {};
  EXPECT_LE(bytes_per_use(rig, plain, 640), 640.0);
}

TEST(Usage, AUseWithPurposeApplicationAndKeyCostsAtMost800BytesOfLog) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(1000)}))));
  EXPECT_LE(bytes_per_use(rig, act(id), 640), 800.0);
}

TEST(Usage, WhatIsMeteredMayHaveRows) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({test::atom("meteredTime", "lteq", "PT1H")}))));
  const auto grant = rig.use(id);
  ASSERT_TRUE(grant);
  Outcome done;
  done.content = content;
  done.rows = 3;
  rig.enforcer->complete(*grant, done);
  rig.enforcer->flush_completions(true);
  rig.settle();
  const auto ended = rig.records("use.executed");
  ASSERT_EQ(ended.size(), 1U);
  const Json& use = ended.front().body["uses"].front();
  EXPECT_EQ(use["rows"], 3);
  EXPECT_EQ(use["rules"], Json::array({test::rule_id}));
}

TEST(Usage, APermitCarriesWhatReplayAndAReaderNeed) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(3)}))));
  const auto grant = rig.use(id, "secret key of a client");
  ASSERT_TRUE(grant);
  const auto permits = rig.records("use.permitted");
  ASSERT_EQ(permits.size(), 1U);
  const Json& body = permits[0].body;
  EXPECT_EQ(body["event"], grant->use.value);
  EXPECT_EQ(body["agreement"], id);
  EXPECT_EQ(body["action"], "read");
  EXPECT_EQ(body["app"], "reader");
  EXPECT_EQ(body["purpose"], test::research);
  EXPECT_EQ(body["sources"]["purpose"], "registration");
  EXPECT_EQ(body["decision"]["at"], format_micros(grant->decided_at));
  EXPECT_EQ(body["rules"], Json::array({Json{{"id", test::rule_id}, {"n", 1}}}));
  EXPECT_FALSE(body.contains("use"));
  EXPECT_EQ(body.dump().find("secret"), std::string::npos);
}

TEST(Usage, APermitSaysThatAPartyIsKnownByACredential) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(3)}))));
  for (const bool purpose : {true, false}) {
    auto asked = act(id);
    asked.by_credential = true;
    if (!purpose) asked.purposes.clear();
    ASSERT_TRUE(rig.authorise(asked));
  }
  const auto permits = rig.records("use.permitted");
  ASSERT_EQ(permits.size(), 2U);
  EXPECT_EQ(
      permits[0].body["sources"], (Json{{"party", "credential"}, {"purpose", "registration"}})
  );
  EXPECT_EQ(permits[1].body["sources"], (Json{{"party", "credential"}}));
}

TEST(Usage, CompletionsShareARecord) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array())));
  std::vector<Grant> grants;
  for (int i = 0; i < 130; ++i) grants.push_back(*rig.use(id));
  Outcome done;
  done.bytes = 5;
  done.content = content;
  for (const auto& grant : grants) rig.enforcer->complete(grant, done);
  rig.settle();
  EXPECT_EQ(rig.records("use.executed").size(), 2U);  // of 64 each; two wait
  rig.enforcer->flush_completions(false);
  rig.settle();
  const auto executed = rig.records("use.executed");
  ASSERT_EQ(executed.size(), 3U);
  EXPECT_EQ(executed[0].body["uses"].size(), 64U);
  EXPECT_EQ(executed[2].body["uses"].size(), 2U);
  EXPECT_EQ(executed[2].body["uses"][1]["use"], grants[129].use.value);
  EXPECT_EQ(executed[2].body["uses"][1]["bytes"], 5);
  EXPECT_EQ(executed[2].body["uses"][1]["content"], content);
  EXPECT_FALSE(executed[2].body["uses"][1].contains("outcome"));
}

TEST(Usage, ACompletionWaitsForAtMostASecond) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array())));
  Outcome cut;
  cut.bytes = 3;
  cut.complete = false;
  rig.enforcer->complete(*rig.use(id), cut);
  rig.enforcer->flush_completions(false);
  rig.world.run_for(milliseconds(900));
  rig.enforcer->flush_completions(false);
  rig.world.run_for(milliseconds(50));
  EXPECT_TRUE(rig.records("use.executed").empty());
  rig.world.run_for(milliseconds(100));
  rig.enforcer->flush_completions(false);
  rig.settle();
  const auto executed = rig.records("use.executed");
  ASSERT_EQ(executed.size(), 1U);
  EXPECT_EQ(executed[0].body["uses"][0]["outcome"], "cut");
  EXPECT_FALSE(executed[0].body["uses"][0].contains("content"));
}

TEST(Usage, TheLogOfAFullLifeVerifies) {
  Rig rig;
  rig.start();
  rig.agree(terms(id, policy(Json::array({limit(3)}))));
  for (int i = 0; i < 3; ++i) {
    const auto grant = rig.use(id, "k" + std::to_string(i));
    if (i == 0) {
      EXPECT_TRUE(rig.await(rig.enforcer->abort(*grant)));
    } else {
      rig.enforcer->complete(*grant, Outcome{});
    }
  }
  EXPECT_TRUE(rig.use(id));
  EXPECT_FALSE(rig.use(id));
  auto record = test::draft(rig, "policy.expired", id);
  EXPECT_TRUE(rig.await(rig.enforcer->close(AgreementId(id), Closed::expired, record)));
  rig.stop();
  auto reader = rig.reader();
  const auto report = audit::verify_log(*reader);
  EXPECT_EQ(report.verdict, audit::Verdict::whole)
      << (report.finding ? render(report.finding->message, Lang::en) : "");
}

}  // namespace
}  // namespace tally::usage
