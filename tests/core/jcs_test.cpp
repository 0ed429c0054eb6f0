#include <bit>
#include <cstdint>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

namespace tally {
namespace {

TEST(Jcs, NumbersOfRfc8785AppendixB) {
  struct Case {
    std::uint64_t bits;
    const char* text;
  };
  const Case cases[] = {
      {0x0000000000000000, "0"},
      {0x8000000000000000, "0"},
      {0x0000000000000001, "5e-324"},
      {0x8000000000000001, "-5e-324"},
      {0x7fefffffffffffff, "1.7976931348623157e+308"},
      {0xffefffffffffffff, "-1.7976931348623157e+308"},
      {0x4340000000000000, "9007199254740992"},
      {0xc340000000000000, "-9007199254740992"},
      {0x4430000000000000, "295147905179352830000"},
      {0x44b52d02c7e14af5, "9.999999999999997e+22"},
      {0x44b52d02c7e14af6, "1e+23"},
      {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
      {0x444b1ae4d6e2ef4e, "999999999999999700000"},
      {0x444b1ae4d6e2ef4f, "999999999999999900000"},
      {0x444b1ae4d6e2ef50, "1e+21"},
      {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
      {0x3eb0c6f7a0b5ed8d, "0.000001"},
      {0x41b3de4355555553, "333333333.3333332"},
      {0x41b3de4355555554, "333333333.33333325"},
      {0x41b3de4355555555, "333333333.3333333"},
      {0x41b3de4355555556, "333333333.3333334"},
      {0x41b3de4355555557, "333333333.33333343"},
      {0xbecbf647612f3696, "-0.0000033333333333333333"},
      {0x43143ff3c1cb0959, "1424953923781206.2"},
  };
  for (const auto& [bits, text] : cases) EXPECT_EQ(to_jcs(Json(std::bit_cast<double>(bits))), text);
}

TEST(Jcs, IntegersStandAsTheyAre) {
  EXPECT_EQ(to_jcs(Json(9007199254740991)), "9007199254740991");
  EXPECT_EQ(to_jcs(Json(-9007199254740991)), "-9007199254740991");
  EXPECT_EQ(to_jcs(Json(0)), "0");
  EXPECT_EQ(to_jcs(Json(18446744073709551615U)), "18446744073709552000");
}

TEST(Jcs, ExampleOfRfc8785Section322) {
  const Json value = Json::parse(R"({
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  })");
  EXPECT_EQ(
      to_jcs(value),
      "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
      "\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
  );
}

TEST(Jcs, KeysStandInTheOrderOfUtf16) {
  const Json value = Json::parse(R"({
    "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7
  })");
  EXPECT_EQ(
      to_jcs(value),
      "{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"\xc3\xb6\":7,\"\xe2\x82\xac\":1,"
      "\"\xf0\x9f\x98\x80\":5,\"\xef\xac\xb3\":3}"
  );
}

TEST(Jcs, ControlsAreEscapedAndNothingElse) {
  EXPECT_EQ(
      to_jcs(Json("\b\t\n\f\r\"\\/\x01\x1f\x7f")), "\"\\b\\t\\n\\f\\r\\\"\\\\/\\u0001\\u001f\x7f\""
  );
}

TEST(Jcs, WhatWasWrittenReadsBackEqual) {
  const auto value = parse_json(R"({"b":[1,2.5,-0.25,1e-9,"x"],"a":{"z":null,"y":[]},"c":{}})");
  ASSERT_TRUE(value);
  const std::string text = to_jcs(*value);
  EXPECT_EQ(text, R"({"a":{"y":[],"z":null},"b":[1,2.5,-0.25,1e-9,"x"],"c":{}})");
  EXPECT_EQ(to_jcs(*parse_json(text)), text);
}

}  // namespace
}  // namespace tally
