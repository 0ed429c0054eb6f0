#include "tally/core/trace.hpp"

#include <gtest/gtest.h>

namespace tally {
namespace {

const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string span = "00f067aa0ba902b7";

TEST(TraceContext, ReadsAndWritesWhatTheRecommendationHas) {
  for (const auto& [flags, sampled] : {std::pair{"01", true}, std::pair{"00", false}}) {
    const std::string text = "00-" + trace + "-" + span + "-" + flags;
    const auto read = parse_traceparent(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(read->sampled, sampled);
    EXPECT_EQ(to_traceparent(*read), text);
  }
}

TEST(TraceContext, OfALaterVersionReadsWhatItKnows) {
  const std::string known = "cc-" + trace + "-" + span + "-03";
  ASSERT_TRUE(parse_traceparent(known));
  EXPECT_TRUE(parse_traceparent(known)->sampled);
  EXPECT_TRUE(parse_traceparent(known + "-what-will-be"));
  EXPECT_FALSE(parse_traceparent(known + "what-will-be"));
}

TEST(TraceContext, RefusesEverythingElse) {
  const std::string zeros(32, '0');
  for (const auto& text : std::initializer_list<std::string>{
           "",
           "00",
           "00-" + trace + "-" + span,
           "00-" + trace + "-" + span + "-01-more",
           "ff-" + trace + "-" + span + "-01",
           "00-" + zeros + "-" + span + "-01",
           "00-" + trace + "-" + zeros.substr(16) + "-01",
           "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + span + "-01",
           "00_" + trace + "-" + span + "-01",
           "00-" + trace + "-" + span + "-0x",
           "0g-" + trace + "-" + span + "-01",
           " 00-" + trace + "-" + span + "-01"}) {
    EXPECT_FALSE(parse_traceparent(text)) << text;
  }
}

}  // namespace
}  // namespace tally
