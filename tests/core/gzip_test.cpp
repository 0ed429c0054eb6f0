#include "tally/core/gzip.hpp"

#include <gtest/gtest.h>

namespace tally {
namespace {

std::string code_of(const Result<std::string>& result) {
  return result ? "unpacked" : result.error().message.code;
}

TEST(Gzip, ComesBackWhole) {
  for (const std::string& text : {std::string(), std::string("a"), std::string(300'000, 'x')}) {
    const std::string packed = gzip(text);
    const auto back = gunzip(packed, text.size());
    ASSERT_TRUE(back) << text.size();
    EXPECT_EQ(*back, text);
  }
}

TEST(Gzip, ABombIsRefusedAtTheBound) {
  const std::string bomb = gzip(std::string(50 << 20, '\0'));
  EXPECT_LT(bomb.size(), 300'000U);
  EXPECT_EQ(code_of(gunzip(bomb, 1 << 20)), "core.gzip-too-large");
  EXPECT_EQ(code_of(gunzip(gzip("ab"), 1)), "core.gzip-too-large");
}

TEST(Gzip, WhatIsNotOneWholeStreamIsRefused) {
  const std::string packed = gzip("some text that is packed");
  std::string flipped = packed;
  flipped[packed.size() / 2] ^= 1;
  for (const std::string& bad :
       {std::string(),
        std::string("{}"),
        packed.substr(0, packed.size() - 1),
        packed + "x",
        packed + packed,
        flipped}) {
    EXPECT_EQ(code_of(gunzip(bad, 1000)), "core.gzip-malformed") << bad.size();
  }
}

TEST(Gzip, IsUsedWhereTheRequestAllowsIt) {
  const struct {
    const char* value;
    bool accepted;
  } cases[] = {
      {"gzip", true},
      {"deflate, GZIP;q=0.5", true},
      {"*", true},
      {"identity", false},
      {"gzip;q=0", false},
      {"gzip ; q=0.000, *", false},
      {"*;q=0", false},
      {"br, x-gzip", true},
      {"", false},
      {"gzippy", false},
  };
  for (const auto& one : cases) {
    Headers headers;
    headers.set("Accept-Encoding", one.value);
    EXPECT_EQ(accepts_gzip(headers), one.accepted) << one.value;
  }
  EXPECT_FALSE(accepts_gzip(Headers{}));
}

}  // namespace
}  // namespace tally
