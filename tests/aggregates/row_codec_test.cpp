// Sets of rows as text, and back.
#include "aggregates/row_codec.hpp"

#include <random>

#include <gtest/gtest.h>

namespace tally::aggregates {
namespace {

TEST(RowCodec, AnySetComesBackAsItWas) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const std::size_t rows = 1 + random() % 3000;
    const auto share = 1 + random() % 100;
    RowSet set;
    for (std::uint32_t i = 0; i < rows; ++i) {
      if (random() % 100 < share) set.push_back(i);
    }
    const auto text = encode_set(set);
    const auto back = decode_set(text, rows);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, set);
    // Never much more than a bit for each row.
    EXPECT_LE(text.size(), rows / 8 * 4 / 3 + 8);
  }
}

TEST(RowCodec, WhatIsNoSetIsNone) {
  RowSet set{1, 5, 9};
  const auto text = encode_set(set);
  EXPECT_TRUE(decode_set(text, 10));
  for (const auto& broken :
       {std::string(),
        std::string("!"),
        to_base64(as_bytes("x")),
        to_base64(as_bytes("g\x80")),
        text.substr(0, text.size() - 1)}) {
    EXPECT_FALSE(decode_set(broken, 10)) << broken;
  }
  EXPECT_FALSE(decode_set(text, 9));  // a row that there is not
}

TEST(RowCodec, RowsThatSayTheSameAreTold) {
  const auto content = sha256(std::string_view("a row"));
  EXPECT_NE(row_id(content, 0), row_id(content, 1));
  EXPECT_EQ(row_id(content, 1), row_id(content, 1));
  EXPECT_NE(row_id(content, 0), row_id(sha256(std::string_view("another")), 0));
  const std::vector<RowId> ids{row_id(content, 0), row_id(content, 1)};
  const auto back = decode_ids(encode_ids(ids));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, ids);
  EXPECT_FALSE(decode_ids("AAAA"));
}

}  // namespace
}  // namespace tally::aggregates
