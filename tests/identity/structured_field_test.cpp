#include "identity/structured_field.hpp"

#include <gtest/gtest.h>

namespace tally::identity {
namespace {

TEST(StructuredField, ReadsWhatSignaturesUse) {
  const auto dictionary = parse_dictionary(
      R"(a=("@method" "x");created=5;keyid="k\"\\";tag=t;on, b=:aGVsbG8=:;p, c=-17)"
  );
  ASSERT_TRUE(dictionary);
  ASSERT_EQ(dictionary->size(), 3u);
  const auto& list = std::get<SfInnerList>((*dictionary)[0].second);
  EXPECT_EQ(list.items.size(), 2u);
  EXPECT_EQ(*param<std::int64_t>(list.params, "created"), 5);
  EXPECT_EQ(*param<std::string>(list.params, "keyid"), "k\"\\");
  EXPECT_EQ(param<SfToken>(list.params, "tag")->text, "t");
  EXPECT_TRUE(*param<bool>(list.params, "on"));
  EXPECT_EQ(serialise(list), R"(("@method" "x");created=5;keyid="k\"\\";tag=t;on)");
  const auto& bytes = std::get<SfItem>((*dictionary)[1].second);
  EXPECT_EQ(serialise(bytes.value), ":aGVsbG8=:");
}

TEST(StructuredField, RefusesEverythingElse) {
  const std::vector<std::string> bad{
      "",
      "a",
      "a=",
      "a=1,",
      "a=1,,b=2",
      "a=1 b=2",
      "A=1",
      "a=1, a=2",
      "a=:aGVsbG8:",
      "a=:a b=:",
      "a=:",
      "a=\"x",
      "a=\"\\x\"",
      "a=(",
      "a=(\"x\"",
      "a=(\"x\"\"y\")",
      "a=1;",
      "a=1;b=",
      "a=1;b=1;b=2",
      "a=1.5",
      "a=?2",
      "a=12345678901234567890",
      "a=\"\x01\"",
      "a=1\n",
      "a=--1",
  };
  for (const std::string& text : bad) EXPECT_FALSE(parse_dictionary(text)) << text;
  EXPECT_FALSE(parse_item(":aGVsbG8=: x"));
  EXPECT_FALSE(parse_item(""));
  EXPECT_FALSE(parse_list(":aGVsbG8=:,"));
  EXPECT_FALSE(parse_list(std::string(20'000, 'a')));
  std::string many = "a0=1";
  for (int i = 1; i < 40; ++i) many += ", a" + std::to_string(i) + "=1";
  EXPECT_FALSE(parse_dictionary(many));
}

}  // namespace
}  // namespace tally::identity
