// Numbers: cases by hand, random tables against a computation without SQL, and what happens when
// the data change.
#include <cmath>
#include <map>
#include <random>

#include "aggregates/table.hpp"

namespace tally::aggregates {
namespace {

using catalog::ColumnType;

const char* const wards =
    "ward,age,cost,since,well\r\n"
    "north,70,10.5,2026-01-02,true\r\n"
    "north,64,2.25,2026-02-03,false\r\n"
    "north,81,,2026-03-04,true\r\n"
    "south,65,4,2026-01-02,true\r\n"
    "south,30,6,,true\r\n"
    ",40,1,2026-01-02,false\r\n"
    ",50,1,2026-01-02,false\r\n";

catalog::Schema ward_schema() {
  return schema_of(
      {{"ward", ColumnType::text},
       {"age", ColumnType::integer},
       {"cost", ColumnType::decimal},
       {"since", ColumnType::date},
       {"well", ColumnType::boolean}}
  );
}

struct Case {
  const char* query;
  const char* answer;
};

TEST(Compute, Cases) {
  const Case cases[] = {
      {R"({"values":[{"function":"count"}]})", R"({"groups":[{"key":[],"values":[7]}]})"},
      {R"({"values":[{"function":"count"},{"function":"sum","column":"age"},
                     {"function":"avg","column":"age"}],"groupBy":["ward"]})",
       R"({"groups":[{"key":[null],"values":[2,90,45.0]},
                     {"key":["north"],"values":[3,215,71.66666666666667]},
                     {"key":["south"],"values":[2,95,47.5]}]})"},
      // One of three has no cost: that would be told by the sum over two.
      {R"({"values":[{"function":"sum","column":"cost"}],"groupBy":["ward"]})",
       R"({"groups":[{"key":[null],"values":[2.0]},
                     {"key":["north"],"values":[{"suppressed":true}]},
                     {"key":["south"],"values":[10.0]}]})"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"age","operator":"gteq","value":64}]})",
       R"({"groups":[{"key":[],"values":[4]}]})"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"cost","operator":"lt","value":"4.0"}]})",
       R"({"groups":[{"key":[],"values":[3]}]})"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"ward","operator":"neq","value":"north"}]})",
       R"({"groups":[{"key":[],"values":[2]}]})"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"well","operator":"eq","value":true}]})",
       R"({"groups":[{"key":[],"values":[4]}]})"},
      {R"({"values":[{"function":"min","column":"since"},{"function":"max","column":"age"}]})",
       R"({"groups":[{"key":[],"values":[{"suppressed":true},81]}]})"},
      // None and one look the same.
      {R"({"values":[{"function":"count"}],"filter":[{"column":"age","operator":"eq","value":64}]})",
       R"({"groups":[{"key":[],"values":[{"suppressed":true}]}]})"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"age","operator":"eq","value":99}]})",
       R"({"groups":[{"key":[],"values":[{"suppressed":true}]}]})"},
      {R"({"values":[{"function":"count"}],"groupBy":["well"],"totals":true})",
       R"({"groups":[{"key":["false"],"values":[3]},{"key":["true"],"values":[4]}],
           "totals":[{"key":[],"values":[7]}]})"},
      {R"({"values":[{"function":"count"}],"groupBy":["ward","well"],"totals":true})",
       R"({"groups":[{"key":[null,"false"],"values":[2]},{"key":["south","true"],"values":[2]}],
           "totals":[{"key":[],"values":[7]},{"key":[null],"values":[2]},
                     {"key":["north"],"values":[3]},{"key":["south"],"values":[2]}]})"},
  };
  for (const auto& one : cases) {
    Asker asker(ward_schema(), wards, 2);
    const auto answer = asker.ask(one.query);
    ASSERT_TRUE(answer) << one.query << " " << asker.refused;
    EXPECT_EQ(*answer, Json::parse(one.answer)) << one.query << "\n" << answer->dump();
  }
}

struct Bad {
  const char* query;
  const char* code;
};

TEST(Compute, WhatTheColumnsDoNotAllow) {
  auto schema = ward_schema();
  schema.columns[0].privacy = "place";
  const Bad cases[] = {
      {R"({"values":[{"function":"count"}],"groupBy":["wart"]})", "aggregates.misspelt-column"},
      {R"({"values":[{"function":"count"}],"groupBy":["x"]})", "aggregates.unknown-column"},
      {R"({"values":[{"function":"sum","column":"well"}]})", "aggregates.column-type"},
      {R"({"values":[{"function":"sum","column":"since"}]})", "aggregates.column-type"},
      {R"({"values":[{"function":"max","column":"age"}]})", "aggregates.function-not-allowed"},
      {R"({"values":[{"function":"count"}],"groupBy":["ward"]})", "aggregates.private-column"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"ward","operator":"eq","value":"north"}]})",
       "aggregates.private-column"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"age","operator":"eq","value":"old"}]})",
       "aggregates.filter-value"},
      {R"({"values":[{"function":"count"}],"filter":[{"column":"well","operator":"lt","value":true}]})",
       "aggregates.filter-value"},
  };
  GroupTerms terms;
  terms.min_group_size = 2;
  terms.functions = {Function::count, Function::sum, Function::avg};
  for (const auto& one : cases) {
    const auto bound = bind(query_of(one.query), schema, terms);
    ASSERT_FALSE(bound) << one.query;
    EXPECT_EQ(bound.error().message.code, one.code) << one.query;
    EXPECT_FALSE(bound.error().pointer.empty()) << one.query;
  }
  EXPECT_TRUE(bind(query_of(R"({"values":[{"function":"count","column":"ward"}]})"), schema, terms)
  );
  terms.columns_named = true;
  EXPECT_TRUE(
      bind(query_of(R"({"values":[{"function":"count"}],"groupBy":["ward"]})"), schema, terms)
  );
}

// What a filter says is a value, whatever stands in it.
TEST(Compute, WordsOfAQueryNeverBecomeSql) {
  for (const char* text : {"' OR 1=1 --", "\"; DROP TABLE t; --", "c0", "%", "\\", "north' --"}) {
    Asker asker(ward_schema(), wards, 2);
    const Json query{
        {"values", Json::array({{{"function", "count"}}})},
        {"filter", Json::array({{{"column", "ward"}, {"operator", "eq"}, {"value", text}}})}};
    const auto answer = asker.ask(query.dump());
    ASSERT_TRUE(answer);
    EXPECT_FALSE(value_of(answer, Json::array()));
  }
}

// In JSON the kind has to fit: "12" is no number there, and 1e1 is ten.
TEST(Compute, LinesOfJson) {
  auto schema = schema_of({{"n", ColumnType::integer}, {"b", ColumnType::boolean}});
  schema.form = catalog::DataForm::json_lines;
  Asker asker(
      schema,
      R"({"n":1,"b":true}
{"n":"12","b":true}
{"n":1e1,"b":"true"}
{"n":1.5,"b":true}
{"b":true,"n":4}
)",
      2
  );
  const auto answer =
      asker.ask(R"({"values":[{"function":"sum","column":"n"},{"function":"count","column":"b"}]})"
      );
  EXPECT_EQ(value_of(answer, Json::array(), 1), 15);
  EXPECT_FALSE(value_of(answer, Json::array(), 0)) << "one of five has no value";
}

struct Random {
  std::string csv = "a,b,n,x\r\n";
  std::vector<std::array<std::string, 4>> rows;
};

Random random_table(std::mt19937& random) {
  Random out;
  const auto count = random() % 80;
  for (std::size_t i = 0; i < count; ++i) {
    std::array<std::string, 4> row{
        std::string(1, static_cast<char>('p' + random() % 4)),
        std::to_string(random() % 3),
        std::to_string(static_cast<int>(random() % 50) - 10),
        std::to_string(random() % 100) + "." + std::to_string(random() % 4 * 25)};
    if (random() % 6 == 0) row[2].clear();
    if (random() % 6 == 0) row[0].clear();
    out.csv += row[0] + "," + row[1] + "," + row[2] + "," + row[3] + "\r\n";
    out.rows.push_back(std::move(row));
  }
  return out;
}

// Every number that is told is the one that a loop over the rows finds, and is of enough of them.
TEST(Compute, RandomTablesAgainstALoop) {
  std::mt19937 random(3);
  const auto schema = schema_of(
      {{"a", ColumnType::text},
       {"b", ColumnType::integer},
       {"n", ColumnType::integer},
       {"x", ColumnType::decimal}}
  );
  std::size_t told = 0;
  for (int round = 0; round < 300; ++round) {
    const auto table = random_table(random);
    const std::size_t least = 2 + random() % 6;
    const int floor = static_cast<int>(random() % 40) - 10;
    const bool filters = random() % 2 == 0;
    Json query{
        {"groupBy", {"a", "b"}},
        {"totals", true},
        {"values",
         Json::array(
             {{{"function", "count"}},
              {{"function", "count"}, {"column", "n"}},
              {{"function", "sum"}, {"column", "n"}},
              {{"function", "avg"}, {"column", "x"}},
              {{"function", "min"}, {"column", "n"}},
              {{"function", "max"}, {"column", "x"}}}
         )}};
    if (filters) {
      query["filter"] = Json::array({{{"column", "n"}, {"operator", "gteq"}, {"value", floor}}});
    }
    Asker asker(schema, table.csv, least);
    const auto answer = asker.ask(query.dump());
    if (!answer) continue;
    const auto read = query_of(query.dump());
    for (const char* list : {"groups", "totals"}) {
      for (const auto& group : (*answer)[list]) {
        std::size_t rows = 0, present = 0;
        double sum = 0, x = 0, most = -1e9, least_n = 1e9;
        for (const auto& row : table.rows) {
          const auto& key = group["key"];
          const bool first = key.empty() || (key[0].is_null() ? row[0].empty() : key[0] == row[0]);
          const bool second = key.size() < 2 || key[1] == std::stoi(row[1]);
          if (!first || !second) continue;
          if (filters && (row[2].empty() || std::stoi(row[2]) < floor)) continue;
          ++rows;
          x += std::stod(row[3]);
          most = std::max(most, std::stod(row[3]));
          if (row[2].empty()) continue;
          ++present;
          sum += std::stoi(row[2]);
          least_n = std::min<double>(least_n, std::stoi(row[2]));
        }
        for (std::size_t i = 0; i < read.values.size(); ++i) {
          const auto& value = group["values"][i];
          if (value.is_object()) continue;
          ++told;
          EXPECT_GE(rows, least);
          const auto name = to_string(read.values[i]);
          if (name == "count") EXPECT_EQ(value, rows);
          if (name == "avg(x)")
            EXPECT_NEAR(value.get<double>(), x / static_cast<double>(rows), 1e-9);
          if (name == "max(x)") EXPECT_EQ(value, most);
          if (!name.ends_with("(n)")) continue;
          EXPECT_TRUE(present == 0 || present >= least);
          EXPECT_TRUE(rows == present || rows - present >= least);
          if (name == "count(n)") EXPECT_EQ(value, present);
          if (name == "sum(n)" && present > 0) EXPECT_EQ(value, sum);
          if (name == "min(n)" && present > 0) EXPECT_EQ(value, least_n);
        }
      }
    }
  }
  EXPECT_GT(told, 1000U);
}

std::string numbers(int from, int to) {
  std::string out = "n\r\n";
  for (int i = from; i < to; ++i) out += std::to_string(i) + "\r\n";
  return out;
}

const char* const all = R"({"values":[{"function":"count"},{"function":"sum","column":"n"}]})";

TEST(Compute, DataThatGrow) {
  Asker asker(schema_of({{"n", ColumnType::integer}}), numbers(0, 50), 5);
  ASSERT_TRUE(asker.ask(all));
  asker.replace(numbers(0, 53));
  EXPECT_FALSE(asker.ask(all));  // three more: their sum would be told
  EXPECT_EQ(asker.refused, "aggregates.too-close");
  asker.replace(numbers(0, 56));
  EXPECT_TRUE(asker.ask(all));
}

TEST(Compute, DataThatShrink) {
  Asker asker(schema_of({{"n", ColumnType::integer}}), numbers(0, 50), 5);
  ASSERT_TRUE(asker.ask(all));
  asker.replace(numbers(2, 50));
  EXPECT_FALSE(asker.ask(all));
  EXPECT_EQ(asker.refused, "aggregates.too-close");
  asker.replace(numbers(10, 50));
  EXPECT_TRUE(asker.ask(all));
}

// Every row is another one after an edit that means nothing; only the person left out would be
// told.
TEST(Compute, DataThatWereEditedAreNotHeldAgainstThemselves) {
  const auto schema = schema_of({{"n", ColumnType::integer}, {"note", ColumnType::text}});
  const auto table = [](const char* note, int from) {
    std::string out = "n,note\r\n";
    for (int i = from; i < 50; ++i) out += std::to_string(i) + "," + note + "\r\n";
    return out;
  };
  Asker asker(schema, table("before", 0), 5);
  ASSERT_TRUE(asker.ask(all));
  asker.replace(table("after", 1));
  EXPECT_FALSE(asker.ask(all));
  EXPECT_EQ(asker.refused, "aggregates.source-edited");
  asker.replace(table("before", 0));
  EXPECT_TRUE(asker.ask(all)) << "as it was";

  Asker control(schema, table("before", 0), 5, {true, false});
  const auto first = control.ask(all);
  control.replace(table("after", 1));
  const auto second = control.ask(all);
  EXPECT_EQ(*value_of(first, Json::array()) - *value_of(second, Json::array()), 1);
}

TEST(Compute, RowsThatSayTheSameAreSeveral) {
  std::string data = "n\r\n";
  for (int i = 0; i < 30; ++i) data += "7\r\n";
  Asker asker(schema_of({{"n", ColumnType::integer}}), data, 10);
  EXPECT_EQ(value_of(asker.ask(all), Json::array()), 30);
  asker.replace(data + "7\r\n");
  EXPECT_FALSE(asker.ask(all));
  EXPECT_EQ(asker.refused, "aggregates.too-close");
}

TEST(Compute, BoundsAreKept) {
  const auto schema = schema_of({{"n", ColumnType::integer}});
  const auto shape = shape_of(schema);
  const auto query = bind(query_of(all), schema, terms_of(2));
  const auto by_n =
      bind(query_of(R"({"values":[{"function":"count"}],"groupBy":["n"]})"), schema, terms_of(2));
  const auto data = numbers(0, 20'000);
  const auto code_of = [&](const BoundQuery& asked, const ComputeLimits& limits) {
    const auto done = compute(as_bytes(data), shape, asked, 2, {}, limits);
    if (!done) return done.error().message.code;
    return done->refused ? done->refused->code : std::string();
  };
  EXPECT_EQ(code_of(*query, {}), "");
  ComputeLimits rows;
  rows.rows = 1000;
  EXPECT_EQ(code_of(*query, rows), "aggregates.too-many-rows");
  ComputeLimits groups;
  groups.engine.groups = 100;
  EXPECT_EQ(code_of(*by_n, groups), "aggregates.too-many-groups");
  ComputeLimits steps;
  steps.engine.steps = 20'000;
  EXPECT_EQ(code_of(*query, steps), "aggregates.too-much");
  ComputeLimits memory;
  memory.engine.memory_bytes = 64 << 10;
  EXPECT_EQ(code_of(*query, memory), "aggregates.too-much");
  const auto huge = std::string("n\r\n9223372036854775807\r\n9223372036854775807\r\n");
  const auto done = compute(as_bytes(huge), shape, *query, 2, {}, {});
  EXPECT_TRUE(done);  // beyond 18 digits a number is a real one
}

}  // namespace
}  // namespace tally::aggregates
