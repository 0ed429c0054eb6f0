#include "tally/audit/story.hpp"

#include "two_logs.hpp"

namespace tally::audit {
namespace {

class StoryTest : public TwoLogs {};

TEST_F(StoryTest, BothHalvesOfAnAgreementAreToldSideBySide) {
  begin_both();
  say(provider, "offer.published", R"({"asset":"cohort","offer":"o1","policy":"sha256:aa"})");
  say(provider, "offer.published", R"({"asset":"other","offer":"o2","policy":"sha256:bb"})");
  const std::string contract = R"("pid":"n1","policy":"sha256:aa","asset":"cohort",)"
                               R"("counterparty":{"domain":"south","uri":"did:web:lab.example"})";
  say(provider, "contract.offered", "{" + contract + R"(,"offer":"o1"})");
  say(provider,
      "contract.offered",
      R"({"pid":"n2","policy":"x","asset":"other","counterparty":{"domain":"a","uri":"b"}})");
  say(provider, "contract.agreed", R"({"agreement":"A",)" + contract + "}");
  const std::string actor = R"("actor":{"domain":"north","uri":"did:web:clinic.example"},)";
  const std::string more = R"("assurance":"asserted","signatures":{},"statements":{},)";
  say(provider,
      "contract.finalized",
      R"({"agreement":"A","role":"provider",)" + actor + more + contract + "}");
  say(consumer,
      "contract.finalized",
      R"({"agreement":"A","role":"consumer",)" + actor + more + contract + "}");
  say(provider, "transfer.sent", R"({"agreement":"A","pid":"t","bytes":9,"content":"sha256:cc"})");
  say(consumer,
      "transfer.received",
      R"({"agreement":"A","pid":"t2","bytes":9,"content":"sha256:cc"})");
  say(consumer,
      "use.permitted",
      R"({"agreement":"A","action":"read","app":"notebook","purpose":"research",)"
      R"("decision":{"outcome":"permit"},"rules":[]})");
  say(consumer,
      "use.denied",
      R"({"agreement":"A","action":"read","app":"notebook","decision":{"outcome":"deny"},)"
      R"("reason":{"code":"audit.log-missing","params":{}}})");
  say(consumer, "use.permitted", R"({"agreement":"B","action":"read","decision":{},"rules":[]})");
  say(consumer,
      "data.destroyed",
      R"({"agreement":"A","artefacts":["x"],"contents":["sha256:cc"],"method":"key-shredded"})");

  const auto left = open_log(provider.disk);
  const auto right = open_log(consumer.disk);
  const auto story = tell_story({left.get(), right.get()}, AgreementId("A"));
  ASSERT_TRUE(story);
  ASSERT_EQ(story->logs.size(), 2U);
  EXPECT_EQ(story->logs[0].role, "provider");
  EXPECT_EQ(story->logs[1].role, "consumer");
  EXPECT_EQ(story->logs[1].origin, "lab.example/log/1");
  EXPECT_TRUE(story->logs[0].test);
  std::vector<std::string> types;
  for (const StoryRow& row : story->rows) {
    types.push_back(std::to_string(row.log) + " " + row.type);
    for (const Lang lang : {Lang::en, Lang::zh}) {
      EXPECT_EQ(render(row.summary, lang).find('{'), std::string::npos);
    }
  }
  EXPECT_EQ(
      types,
      (std::vector<std::string>{
          "0 offer.published",
          "0 contract.offered",
          "0 contract.agreed",
          "0 contract.finalized",
          "1 contract.finalized",
          "0 transfer.sent",
          "1 transfer.received",
          "1 use.permitted",
          "1 use.denied",
          "1 data.destroyed",
      })
  );
  EXPECT_EQ(
      render(story->rows[7].summary, Lang::en), "Use permitted: read by notebook, purpose research"
  );
  ASSERT_EQ(story->rows[8].reasons.size(), 1U);
  EXPECT_EQ(story->rows[8].reasons[0].code, "audit.log-missing");

  const auto unknown = tell_story({left.get()}, AgreementId("Z"));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message.code, "audit.agreement-unknown");
}

}  // namespace
}  // namespace tally::audit
