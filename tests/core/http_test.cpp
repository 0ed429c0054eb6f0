#include "tally/core/http.hpp"

#include <gtest/gtest.h>

namespace tally {
namespace {

TEST(Headers, NamesCompareWithoutCase) {
  Headers headers;
  headers.add("Accept", "a");
  headers.add("accept", "b");
  EXPECT_EQ(headers.get("ACCEPT"), "a");
  headers.set("aCCept", "c");
  EXPECT_EQ(headers.all().size(), 1U);
  EXPECT_EQ(headers.get("Accept"), "c");
  EXPECT_FALSE(headers.get("Accept-Language"));
}

TEST(Target, SplitsBeforeItDecodes) {
  const auto target = parse_target("/a/urn%3Auuid:1/x%2Fy?q=a%26b&flag&p=1%2B2+3");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, (std::vector<std::string>{"a", "urn:uuid:1", "x/y"}));
  const std::vector<std::pair<std::string, std::string>> query = {
      {"q", "a&b"}, {"flag", ""}, {"p", "1+2+3"}};
  EXPECT_EQ(target->query, query);
}

TEST(Target, KeepsEmptySegments) {
  EXPECT_TRUE(parse_target("/")->path.empty());
  EXPECT_EQ(parse_target("/a/")->path, (std::vector<std::string>{"a", ""}));
  EXPECT_EQ(parse_target("//a")->path, (std::vector<std::string>{"", "a"}));
  EXPECT_TRUE(parse_target("/?a=1")->path.empty());
}

TEST(Target, RefusesMalformedEncoding) {
  for (const char* text :
       {"",
        "a",
        "http://host/a",
        "*",
        "/%",
        "/%4",
        "/%zz",
        "/a%00b",
        "/a b",
        "/a#b",
        "/a\tb",
        "/a?x=%g0",
        "/a?x%=1"}) {
    EXPECT_FALSE(parse_target(text)) << text;
  }
}

TEST(Target, AnEncodedSegmentComesBackWhole) {
  for (const char* segment : {"urn:uuid:1-2", "a/b?c#d%e f", "数据", ".", "..", "a.b", "~-_@"}) {
    const auto target = parse_target("/" + percent_encode_segment(segment));
    ASSERT_TRUE(target) << segment;
    EXPECT_EQ(target->path, std::vector<std::string>{segment});
  }
  EXPECT_EQ(percent_encode_segment(".."), "%2E%2E");
}

}  // namespace
}  // namespace tally
