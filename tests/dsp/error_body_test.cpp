#include "tally/dsp/error_body.hpp"

#include <gtest/gtest.h>

#include "tally/dsp/messages.hpp"

#include "dsp/test_data.hpp"

namespace tally::dsp {

const Message no_rule{"dsp.policy-without-rule", {}};

TEST(ErrorBody, HasTheShapeOfItsFamily) {
  const KnownPids pids{Pid("p"), Pid("c")};
  const auto negotiation =
      from_json<ContractNegotiationError>(error_body(Family::negotiation, 400, no_rule, pids));
  ASSERT_TRUE(negotiation);
  EXPECT_EQ(negotiation->provider_pid, Pid("p"));
  EXPECT_EQ(negotiation->consumer_pid, Pid("c"));
  EXPECT_EQ(negotiation->code, "400");
  const auto transfer = from_json<TransferError>(error_body(Family::transfer, 503, no_rule, pids));
  ASSERT_TRUE(transfer);
  EXPECT_EQ(transfer->code, "503");
  const auto catalog = from_json<CatalogError>(error_body(Family::catalog, 404, no_rule, pids));
  ASSERT_TRUE(catalog);
}

TEST(ErrorBody, TheReasonIsTheCodeTheSentenceAndThePlace) {
  const Json body = error_body(Family::catalog, 400, no_rule, {}, "/offer");
  const std::string reason = body["reason"][0];
  EXPECT_TRUE(reason.starts_with("dsp.policy-without-rule: ")) << reason;
  EXPECT_TRUE(reason.ends_with(" (/offer)")) << reason;
  EXPECT_GT(reason.size(), 60U) << "the sentence is missing: " << reason;
}

TEST(ErrorBody, AnUnknownPidIsTheNullUuid) {
  const Json body = error_body(Family::negotiation, 404, no_rule);
  EXPECT_EQ(body["providerPid"], null_pid);
  EXPECT_EQ(body["consumerPid"], null_pid);
}

TEST(ErrorBody, PidsAreEchoedAndOursComesFromThePath) {
  const Json body{{"consumerPid", "c"}, {"providerPid", 7}};
  const KnownPids pids = known_pids(body, Role::provider, Pid("from-path"));
  EXPECT_EQ(pids.consumer, Pid("c"));
  EXPECT_EQ(pids.provider, Pid("from-path"));
  const KnownPids echoed = known_pids({{"providerPid", "p"}}, Role::provider, Pid("from-path"));
  EXPECT_EQ(echoed.provider, Pid("p"));
  EXPECT_TRUE(known_pids("not an object", Role::consumer).consumer.empty());
}

TEST(ErrorBody, AConflictIsNeverA409AndNobodyLearnsWhatExists) {
  for (const Family family : {Family::catalog, Family::negotiation, Family::transfer}) {
    EXPECT_EQ(status_of(ErrorKind::invalid, family), 400);
    EXPECT_EQ(status_of(ErrorKind::conflict, family), 400);
    EXPECT_EQ(status_of(ErrorKind::forbidden, family), 404);
    EXPECT_EQ(status_of(ErrorKind::not_found, family), 404);
    EXPECT_EQ(status_of(ErrorKind::unavailable, family), 503);
    EXPECT_EQ(status_of(ErrorKind::internal, family), 500);
  }
  EXPECT_EQ(status_of(ErrorKind::unauthenticated, Family::catalog), 401);
  EXPECT_EQ(status_of(ErrorKind::unauthenticated, Family::negotiation), 404);
  EXPECT_EQ(status_of(ErrorKind::unauthenticated, Family::transfer), 404);
}

TEST(ErrorBody, TheReasonsOfAPeerAreOneBoundedLine) {
  EXPECT_EQ(reason_text({"a", Json{{"message", "b"}}, 7}), "a; {\"message\":\"b\"}; 7");
  EXPECT_EQ(reason_text({"a\n\x1b[2Jb"}), "a  [2Jb");
  EXPECT_EQ(reason_text({}), "");
  std::string long_text;
  for (int i = 0; i < 400; ++i) long_text += "数";
  const std::string cut = reason_text({long_text});
  EXPECT_LE(cut.size(), 503U);
  EXPECT_NO_THROW((void)Json(cut).dump()) << "cut inside a character";
}

TEST(ErrorBody, EverySentenceOfThisModuleIsInTheTable) {
  std::size_t count = 0;
  for (const Sentence& sentence : sentence_table()) {
    if (sentence.code.starts_with("dsp.")) ++count;
  }
  EXPECT_GE(count, 26U);
  for (const char* file : {"bad-messages.json", "bad-policies.json"}) {
    for (const Json& one : read_json(data_folder() / file)) {
      const Message message{one["code"].get<std::string>(), {}};
      EXPECT_NE(render(message, Lang::en), message.code);
      EXPECT_NE(render(message, Lang::zh), render(message, Lang::en));
    }
  }
}

}  // namespace tally::dsp
