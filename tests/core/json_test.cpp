#include "tally/core/json.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tally {
namespace {

struct Refused {
  std::string text;
  const char* code;
  const char* pointer;
};

TEST(StrictJson, RefusesWithCodeAndPlace) {
  const Refused cases[] = {
      {"", "core.json-syntax", ""},
      {"{", "core.json-syntax", ""},
      {R"({"a":[1,2)", "core.json-syntax", "/a/2"},
      {R"({"a":[1,]})", "core.json-syntax", "/a/1"},
      {R"({"a":1,})", "core.json-syntax", ""},
      {R"({"a" 1})", "core.json-syntax", "/a"},
      {R"({a:1})", "core.json-syntax", ""},
      {R"({'a':1})", "core.json-syntax", ""},
      {"[01]", "core.json-syntax", "/1"},
      {"[+1]", "core.json-syntax", "/0"},
      {"[.5]", "core.json-syntax", "/0"},
      {"[1.]", "core.json-syntax", "/0"},
      {"[NaN]", "core.json-syntax", "/0"},
      {"[Infinity]", "core.json-syntax", "/0"},
      {"// c\n{}", "core.json-syntax", ""},
      {"{} // c", "core.json-trailing", ""},
      {"{}{}", "core.json-trailing", ""},
      {"1 2", "core.json-trailing", ""},
      {"\"a\nb\"", "core.json-syntax", ""},
      {R"(["\x"])", "core.json-syntax", "/0"},
      {R"(["\ud800"])", "core.json-syntax", "/0"},
      {R"(["\udc00\ud800"])", "core.json-syntax", "/0"},
      {std::string("{}\0", 3), "core.json-syntax", ""},
      {std::string("{\"a\":1}\0{", 9), "core.json-syntax", ""},
      {std::string("\0{}", 3), "core.json-syntax", ""},
      {R"({"a":1,"a":2})", "core.json-duplicate-key", "/a"},
      {R"({"a":1,"\u0061":2})", "core.json-duplicate-key", "/a"},
      {R"({"x":[{},{"a/b":{"k":1,"l":2,"k":3}}]})", "core.json-duplicate-key", "/x/1/a~1b/k"},
      {"[9007199254740992]", "core.json-number", "/0"},
      {R"({"n":-9007199254740992})", "core.json-number", "/n"},
      {"[0,18446744073709551616]", "core.json-number", "/1"},
      {"123456789012345678901234567890", "core.json-number", ""},
      {"[1e400]", "core.json-number", "/0"},
      {"[-1E400]", "core.json-number", "/0"},
      {"[1e-400]", "core.json-number", "/0"},
      {"[0.10000000000000000555]", "core.json-number", "/0"},
      {"[333333333.33333329]", "core.json-number", "/0"},
      {"[1e99999999999999999999]", "core.json-number", "/0"},
      {"[9007199254740993.0]", "core.json-number", "/0"},
      {"\xef\xbb\xbf{}", "core.json-utf8", ""},
      {"[\"\xff\"]", "core.json-utf8", ""},
      {"[\"\xc0\xaf\"]", "core.json-utf8", ""},
      {"[\"\xed\xa0\x80\"]", "core.json-utf8", ""},
      {"[\"\xf4\x90\x80\x80\"]", "core.json-utf8", ""},
      {"[\"\xe4\xb8\"]", "core.json-utf8", ""},
      {std::string(65, '[') + std::string(65, ']'),
       "core.json-depth",
       "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0"
       "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0"},
      {"\"" + std::string(1 << 20, 'x') + "\"", "core.json-size", ""},
  };
  for (const auto& [text, code, pointer] : cases) {
    const auto result = parse_json(text);
    ASSERT_FALSE(result) << text.substr(0, 80);
    EXPECT_EQ(result.error().kind, ErrorKind::invalid);
    EXPECT_EQ(result.error().message.code, code) << text.substr(0, 80);
    EXPECT_EQ(result.error().pointer, pointer) << text.substr(0, 80);
  }
}

TEST(StrictJson, ReadsWhatIJsonAllows) {
  const std::pair<const char*, const char*> cases[] = {
      {" {\"a\" : [ ] } \n", R"({"a":[]})"},
      {"null", "null"},
      {"[9007199254740991,-9007199254740991,0,-0]", "[9007199254740991,-9007199254740991,0,0]"},
      {"[1.0,1.50,0.1,1e3,1E30,-2.5e-3,0.0,0e5]", "[1,1.5,0.1,1000,1e+30,-0.0025,0,0]"},
      {"[5e-324,1.7976931348623157e308]", "[5e-324,1.7976931348623157e+308]"},
      {R"(["\ud83d\ude00","数据","\u0000"])", "[\"\xf0\x9f\x98\x80\",\"数据\",\"\\u0000\"]"},
      {R"({"a":{"k":1},"b":{"k":1}})", R"({"a":{"k":1},"b":{"k":1}})"},
  };
  for (const auto& [text, canonical] : cases) {
    const auto value = parse_json(text);
    ASSERT_TRUE(value) << text << " " << value.error().message.code;
    EXPECT_EQ(to_jcs(*value), canonical);
  }
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']')));
}

TEST(StrictJson, SyntaxErrorsNameTheByte) {
  EXPECT_EQ(parse_json("[1,x]").error().message.params.at("byte"), "3");
  EXPECT_EQ(parse_json("{} x").error().message.params.at("byte"), "3");
}

TEST(StrictJson, LimitsAreTheCallers) {
  const JsonLimits limits{8, 2};
  EXPECT_TRUE(parse_json("[[1234]]", limits));
  EXPECT_EQ(parse_json("[[12345]]", limits).error().message.code, "core.json-size");
  EXPECT_EQ(parse_json("[[[]]]", limits).error().message.code, "core.json-depth");
}

TEST(JsonMembers, SayWhatIsMissingAndWhere) {
  const Json object = {{"a", "x"}, {"n", 1}};
  EXPECT_EQ(string_member(object, "a", "").value(), "x");
  const auto missing = string_member(object, "b", "/o");
  EXPECT_EQ(missing.error().message.code, "core.member-missing");
  EXPECT_EQ(missing.error().pointer, "/o/b");
  const auto typed = string_member(object, "n", "/o");
  EXPECT_EQ(typed.error().message.code, "core.member-type");
  EXPECT_EQ(typed.error().message.params.at("found"), "number");
  EXPECT_EQ(string_member_or(object, "b", "f", "").value(), "f");
  EXPECT_FALSE(string_member_or(object, "n", "f", ""));
  EXPECT_FALSE(string_member(Json::array(), "a", ""));
}

TEST(JsonPointer, EscapesItsTwoSigns) {
  EXPECT_EQ(child("/a", "m~n/o"), "/a/m~0n~1o");
  EXPECT_EQ(child("", std::size_t{7}), "/7");
}

TEST(ClosestTerm, FindsTheNearWordAndNoFarOne) {
  const std::vector<std::string_view> known = {"dateTime", "count", "purpose", "elapsedTime"};
  EXPECT_EQ(closest_term("purpos", known), "purpose");
  EXPECT_EQ(closest_term("datetime", known), "dateTime");
  EXPECT_EQ(closest_term("elapsed_time", known), "elapsedTime");
  EXPECT_EQ(closest_term("purpsoe", known), "purpose");
  EXPECT_EQ(closest_term("colour", known), "");
  EXPECT_EQ(closest_term("", known), "");
}

}  // namespace
}  // namespace tally
