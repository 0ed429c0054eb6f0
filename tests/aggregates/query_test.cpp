// The reader of queries: what it takes, what it makes one, and what it refuses with which place.
#include "tally/aggregates/query.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tally::aggregates {
namespace {

TEST(Query, AskingTheSameInAnotherOrderIsTheSameQuery) {
  const auto one = read_query(Json::parse(R"({
    "groupBy": ["ward"], "totals": true,
    "values": [{"function": "sum", "column": "cost"}, {"function": "count"}, {"function": "count"}],
    "filter": [{"column": "age", "operator": "gteq", "value": 65},
               {"column": "ward", "operator": "isAnyOf", "value": ["b", "a", "b"]}]})"));
  const auto other = read_query(Json::parse(R"({
    "filter": [{"value": ["a", "b"], "column": "ward", "operator": "isAnyOf"},
               {"column": "age", "operator": "gteq", "value": "65"}],
    "values": [{"function": "count"}, {"column": "cost", "function": "sum"}],
    "totals": true, "groupBy": ["ward"]})"));
  ASSERT_TRUE(one && other);
  EXPECT_EQ(*one, *other);
  EXPECT_EQ(digest_of(*one), digest_of(*other));
  const auto again = read_query(to_json(*one));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *one);
}

TEST(Query, OneOfAListIsEqual) {
  const auto one = read_query(Json::parse(
      R"({"values":[{"function":"count"}],
          "filter":[{"column":"a","operator":"isAnyOf","value":["x","x"]}]})"
  ));
  ASSERT_TRUE(one);
  EXPECT_EQ(one->filter.front().op, odrl::Operator::eq);
}

struct Refused {
  const char* text;
  const char* code;
  const char* pointer;
};

TEST(Query, WhatItRefuses) {
  const Refused cases[] = {
      {"[]", "aggregates.query-type", ""},
      {"{}", "aggregates.query-empty", "/values"},
      {R"({"values":[]})", "aggregates.query-empty", "/values"},
      {R"({"sql":"select 1","values":[{"function":"count"}]})", "aggregates.query-member", "/sql"},
      {R"({"values":{}})", "aggregates.query-type", "/values"},
      {R"({"values":["count"]})", "aggregates.query-type", "/values/0"},
      {R"({"values":[{"function":"median","column":"a"}]})",
       "aggregates.query-function",
       "/values/0/function"},
      {R"({"values":[{"function":"sum"}]})", "aggregates.query-missing", "/values/0/column"},
      {R"({"values":[{"column":"a"}]})", "aggregates.query-missing", "/values/0/function"},
      {R"({"values":[{"function":"count","distinct":true}]})",
       "aggregates.query-member",
       "/values/0/distinct"},
      {R"({"values":[{"function":"count"}],"groupBy":["a","a"]})",
       "aggregates.query-twice",
       "/groupBy/1"},
      {R"({"values":[{"function":"count"}],"groupBy":[""]})",
       "aggregates.query-name",
       "/groupBy/0"},
      {R"({"values":[{"function":"count"}],"groupBy":[1]})", "aggregates.query-type", "/groupBy/0"},
      {R"({"values":[{"function":"count"}],"groupBy":["1","2","3","4","5","6","7","8","9"]})",
       "aggregates.query-too-many",
       "/groupBy"},
      {R"({"values":[{"function":"count"}],"totals":1})", "aggregates.query-type", "/totals"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"a","operator":"like","value":"x"}]})",
       "aggregates.query-operator",
       "/filter/0/operator"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"a","operator":"eq"}]})",
       "aggregates.query-missing",
       "/filter/0/value"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"a","operator":"eq","value":["x"]}]})",
       "aggregates.query-type",
       "/filter/0/value"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"a","operator":"isAnyOf","value":"x"}]})",
       "aggregates.query-type",
       "/filter/0/value"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"a","operator":"isAnyOf","value":[]}]})",
       "aggregates.query-too-many",
       "/filter/0/value"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"a","operator":"eq","value":null}]})",
       "aggregates.query-type",
       "/filter/0/value"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"a","operator":"eq","value":"x","or":1}]})",
       "aggregates.query-member",
       "/filter/0/or"},
  };
  for (const auto& one : cases) {
    const auto read = read_query(Json::parse(one.text));
    ASSERT_FALSE(read) << one.text;
    EXPECT_EQ(read.error().message.code, one.code) << one.text;
    EXPECT_EQ(read.error().pointer, one.pointer) << one.text;
    EXPECT_EQ(read.error().kind, ErrorKind::invalid) << one.text;
  }
}

TEST(Query, NoRefusalRepeatsAValueOfTheFilter) {
  const auto read = read_query(Json::parse(
      R"({"values":[{"function":"count"}],
          "filter":[{"column":"a","operator":"secret","value":"canary"}]})"
  ));
  ASSERT_FALSE(read);
  EXPECT_EQ(render(read.error().message, Lang::en).find("canary"), std::string::npos);
}

}  // namespace
}  // namespace tally::aggregates
