#include "odrl/values.hpp"

#include <limits>

#include <gtest/gtest.h>

#include "policies.hpp"

namespace tally::odrl {
namespace {

TEST(Values, IntegralNumbersAreExact) {
  struct Row {
    const char* text;
    IntegerFault fault;
    std::int64_t value;
  };
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  for (const auto& row : std::vector<Row>{
           {"0", IntegerFault::none, 0},
           {"3", IntegerFault::none, 3},
           {"+3", IntegerFault::none, 3},
           {"-3", IntegerFault::none, -3},
           {"003.000", IntegerFault::none, 3},
           {"3.", IntegerFault::none, 3},
           {".0", IntegerFault::none, 0},
           {"9007199254740993", IntegerFault::none, 9007199254740993},
           {"9223372036854775807", IntegerFault::none, most},
           {"99999999999999999999999", IntegerFault::none, most},
           {"-99999999999999999999999", IntegerFault::none, -most},
           {"3.5", IntegerFault::not_integral, 0},
           {"3.0000000000000000000001", IntegerFault::not_integral, 0},
           {"", IntegerFault::not_a_number, 0},
           {".", IntegerFault::not_a_number, 0},
           {"-", IntegerFault::not_a_number, 0},
           {"3e2", IntegerFault::not_a_number, 0},
           {" 3", IntegerFault::not_a_number, 0},
           {"0x3", IntegerFault::not_a_number, 0},
           {"٣", IntegerFault::not_a_number, 0},
       }) {
    std::int64_t out = 0;
    EXPECT_EQ(parse_integral(row.text, out), row.fault) << row.text;
    if (row.fault == IntegerFault::none) EXPECT_EQ(out, row.value) << row.text;
  }
}

}  // namespace
}  // namespace tally::odrl
