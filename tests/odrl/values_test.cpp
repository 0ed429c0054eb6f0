#include "tally/odrl/values.hpp"

#include <limits>

#include <gtest/gtest.h>

#include "policies.hpp"

namespace tally::odrl {
namespace {

const OperandTerm& term(std::string_view iri) {
  return known_operands()[*find_operand(iri)];
}

TEST(Values, DecimalsAreReadExactly) {
  struct Row {
    const char* text;
    const char* written;  // nullptr: no decimal
  };
  for (const auto& row : std::vector<Row>{
           {"0", "0"},
           {"-0", "0"},
           {"3", "3"},
           {"+3", "3"},
           {"-3", "-3"},
           {"003.1400", "3.14"},
           {"3.", "3"},
           {".5", "0.5"},
           {"0.000", "0"},
           {"0.30000000000000001", "0.30000000000000001"},
           {"9007199254740993", "9007199254740993"},
           {"123456789012345678901234567890.5", "123456789012345678901234567890.5"},
           {"", nullptr},
           {".", nullptr},
           {"-", nullptr},
           {"3e2", nullptr},
           {" 3", nullptr},
           {"0x3", nullptr},
           {"NaN", nullptr},
           {"INF", nullptr},
           {"٣", nullptr},
       }) {
    const auto number = parse_decimal(row.text);
    EXPECT_EQ(number.has_value(), row.written != nullptr) << row.text;
    if (number && row.written) EXPECT_EQ(to_text(*number), row.written) << row.text;
  }
  EXPECT_EQ(to_text(*parse_decimal("1.5e3", true)), "1500");
  EXPECT_EQ(to_text(*parse_decimal("1.5E-3", true)), "0.0015");
  EXPECT_FALSE(parse_decimal("1e999999", true));
  EXPECT_FALSE(parse_decimal("NaN", true));
}

TEST(Values, DecimalsAreOrderedByValue) {
  const std::vector<const char*> ascending{
      "-100", "-99.5", "-1", "-0.1", "0", "0.09", "0.1", "0.11", "1", "9", "10", "10.01", "100"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(compare(*parse_decimal(ascending[i]), *parse_decimal(ascending[j])), i <=> j)
          << ascending[i] << " " << ascending[j];
    }
  }
  EXPECT_EQ(*parse_decimal("5.0"), *parse_decimal("5.00"));
}

TEST(Values, IntegralNumbersAreCutToTheirRange) {
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(integral(*parse_decimal("003.000")), 3);
  EXPECT_EQ(integral(*parse_decimal("9223372036854775807")), most);
  EXPECT_EQ(integral(*parse_decimal("99999999999999999999999")), most);
  EXPECT_EQ(integral(*parse_decimal("-99999999999999999999999")), -most);
  EXPECT_FALSE(integral(*parse_decimal("3.0000000000000000000001")));
}

TEST(Values, EachOperatorInThreeTruthValues) {
  const std::vector<Broader> taxonomy{{"de-BY", "de"}, {"de", "eu"}};
  const auto& place = term("http://www.w3.org/ns/odrl/2/spatial");  // every value
  const auto& role = term("urn:tally:profile:1#role");              // one value
  const auto& level = term("urn:tally:profile:1#securityLevel");    // ordered
  const auto& language = term("http://www.w3.org/ns/odrl/2/language");
  const auto& network = term("http://www.w3.org/ns/odrl/2/virtualLocation");
  const auto& amount = term("http://www.w3.org/ns/odrl/2/payAmount");
  const auto& delay = term("http://www.w3.org/ns/odrl/2/delayPeriod");
  const auto names = [](std::initializer_list<const char*> list) {
    std::vector<Value> out;
    for (const auto* one : list) out.emplace_back(Name{one});
    return out;
  };
  const std::vector<Value> none;
  const std::vector<Value> five{decimal(5)};
  const std::vector<Value> broken{Malformed{"NaN"}};
  const std::vector<Value> month{XsdDuration{1, 0, 0}};
  const std::vector<Value> days30{XsdDuration{0, 30 * 86400, 0}};
  const std::vector<Value> days27{XsdDuration{0, 27 * 86400, 0}};
  struct Row {
    const OperandTerm& term;
    std::vector<Value> actual;
    Operator op;
    std::vector<Value> required;
    Truth expected;
    std::string_view because = {};
  };
  using enum Operator;
  const std::vector<Row> table{
      {place, names({"de"}), eq, names({"de"}), Truth::yes},
      {place, names({"de-BY"}), eq, names({"de"}), Truth::no},
      {place, names({"de-BY"}), is_a, names({"eu"}), Truth::yes},
      {place, names({"eu"}), is_part_of, names({"de"}), Truth::no},
      {place, names({"eu"}), has_part, names({"de-BY"}), Truth::yes},
      {place, names({"de-BY"}), is_part_of, names({"fr", "de"}), Truth::yes},
      {place, names({"de", "fr"}), is_any_of, names({"de"}), Truth::no},
      {place, names({"de", "fr"}), is_all_of, names({"de"}), Truth::yes},
      {place, names({"de"}), is_none_of, names({"fr"}), Truth::yes},
      {place, names({"de", "fr"}), is_none_of, names({"fr"}), Truth::no},
      {place, none, is_none_of, names({"fr"}), Truth::unknown, "missing-value"},
      {place, none, neq, names({"fr"}), Truth::unknown, "missing-value"},
      {place, five, eq, names({"fr"}), Truth::unknown, "type-mismatch"},
      {role, names({"a", "b"}), is_any_of, names({"b"}), Truth::yes},
      {role, names({"a", "b"}), neq, names({"b"}), Truth::no},
      {level, names({"de"}), gteq, names({"eu"}), Truth::yes},
      {level, names({"eu"}), gteq, names({"de"}), Truth::no},
      {level, names({"fr"}), gteq, names({"de"}), Truth::unknown, "incomparable"},
      {place, names({"de"}), gteq, names({"eu"}), Truth::unknown, "operator-mismatch"},
      {language, names({"zh-Hans"}), is_part_of, names({"ZH"}), Truth::yes},
      {language, names({"zh"}), eq, names({"ZH"}), Truth::yes},
      {language, names({"zho"}), is_part_of, names({"zh"}), Truth::no},
      {network, names({"192.0.2.77"}), is_part_of, names({"192.0.2.64/26"}), Truth::yes},
      {network, names({"192.0.2.7"}), is_part_of, names({"192.0.2.64/26"}), Truth::no},
      {network, names({"a.example.org"}), is_part_of, names({"example.org"}), Truth::yes},
      {network, names({"badexample.org"}), is_part_of, names({"example.org"}), Truth::no},
      {amount, five, lteq, five, Truth::yes},
      {amount, five, lt, five, Truth::no},
      {amount, broken, lt, five, Truth::unknown, "invalid-literal"},
      {delay, month, gteq, days27, Truth::yes},
      {delay, month, gteq, days30, Truth::unknown, "incomparable"},
  };
  for (const auto& row : table) {
    const auto got = compare(row.term, row.actual, row.op, row.required, taxonomy);
    const auto name = std::string(row.term.iri) + " " + std::string(operator_word(row.op)) + " " +
                      to_text(row.required.front());
    EXPECT_EQ(got.truth, row.expected) << name;
    if (!row.because.empty()) EXPECT_EQ(got.because, row.because) << name;
  }
}

TEST(Values, ADayIsAnIntervalForEveryOperator) {
  const auto& time = term(iri::date_time);
  const Value day = TimeSpan{test::at("2026-03-10T00:00:00Z"), test::at("2026-03-11T00:00:00Z")};
  struct Row {
    const char* now;
    const char* holds;  // which of lt lteq eq gteq gt
  };
  for (const auto& row : std::vector<Row>{
           {"2026-03-09T23:59:59Z", "lt lteq "},
           {"2026-03-10T00:00:00Z", "lteq eq gteq "},
           {"2026-03-10T23:59:59Z", "lteq eq gteq "},
           {"2026-03-11T00:00:00Z", "gteq gt "},
       }) {
    const auto at = test::at(row.now);
    const Value now = TimeSpan{at, at + 1};
    std::string holds;
    for (const auto op :
         {Operator::lt, Operator::lteq, Operator::eq, Operator::gteq, Operator::gt}) {
      const auto got = compare_one(time, now, op, day, {});
      EXPECT_NE(got.truth, Truth::unknown);
      if (got.truth == Truth::yes) holds += std::string(operator_word(op)) + " ";
    }
    EXPECT_EQ(holds, row.holds) << row.now;
  }
}

TEST(Values, ATaxonomyWithACircleEnds) {
  const std::vector<Broader> circle{{"a", "b"}, {"b", "c"}, {"c", "a"}};
  EXPECT_TRUE(is_within(circle, "a", "c"));
  EXPECT_TRUE(is_within(circle, "c", "b"));
  EXPECT_FALSE(is_within(circle, "a", "d"));
}

}  // namespace
}  // namespace tally::odrl
