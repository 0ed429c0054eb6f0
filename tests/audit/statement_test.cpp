#include "tally/audit/statement.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "known_keys.hpp"

namespace tally::audit {
namespace {

// A record as a log has it, with what a sum looks at.
RecordView view(const std::string& text, std::string_view type, std::string_view time) {
  RecordView record;
  record.text = text;
  record.type = type;
  record.time = time;
  record.agreement = "A";
  return record;
}

UseSums added_up() {
  const std::array<std::array<std::string, 3>, 7> records = {{
      {"contract.finalized", "t0", R"({"aseq":1})"},
      {"use.permitted", "t1", R"({"aseq":2})"},
      {"use.permitted", "t2", R"({"aseq":3})"},
      {"use.aborted", "t3", R"({"aseq":4})"},
      {"use.denied", "t4", R"({"aseq":5,"reason":{"code":"x.no","params":{}}})"},
      {"use.executed", "t5", R"({"aseq":6,"uses":[{"bytes":7,"use":"a"},{"bytes":5,"use":"b"}]})"},
      {"policy.expired", "t6", R"({"aseq":7})"},
  }};
  UseSums sums;
  for (const auto& [type, time, text] : records) {
    EXPECT_EQ(sums.add(view(text, type, time)), type.starts_with("use.")) << type;
  }
  return sums;
}

Statement statement() {
  return {AgreementId("A"), 3, added_up(), "clinic.example/log/1", 9, leaf_hash("x")};
}

TEST(StatementTest, SumsAreThoseOfTheRecords) {
  const UseSums sums = added_up();
  EXPECT_EQ(sums.uses, 1);
  EXPECT_EQ(sums.bytes, 12U);
  EXPECT_EQ(sums.refusals, (std::map<std::string, std::uint64_t>{{"x.no", 1}}));
  EXPECT_EQ(sums.from, 2U);
  EXPECT_EQ(sums.to, 6U);
  EXPECT_EQ(sums.since + " " + sums.until, "t1 t5");
}

TEST(StatementTest, ReadsBackAsItWasSigned) {
  const auto note = sign_statement(statement(), log_key(), signer_of(log_seed));
  ASSERT_TRUE(note);
  const auto read = verify_statement(*note, log_key());
  ASSERT_TRUE(read) << render(read.error().message, Lang::en);
  EXPECT_EQ(*read, statement());
}

TEST(StatementTest, NoChangedByteIsTaken) {
  const auto note = sign_statement(statement(), log_key(), signer_of(log_seed));
  ASSERT_TRUE(note);
  for (std::size_t at = 0; at < note->size(); ++at) {
    std::string changed = *note;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(verify_statement(changed, log_key())) << at;
  }
}

TEST(StatementTest, WhatIsNoStatementIsRefused) {
  const Json good = added_up().to_json();
  ASSERT_TRUE(parse_use_sums(good));
  for (const auto& [key, value] : good.items()) {
    Json without = good;
    without.erase(key);
    EXPECT_FALSE(parse_use_sums(without)) << key;
    Json other = good;
    other[key] = "text";
    EXPECT_FALSE(parse_use_sums(other)) << key;
  }
  Json backwards = good;
  backwards["aseq"] = {{"from", 7}, {"to", 6}};
  EXPECT_FALSE(parse_use_sums(backwards));
}

}  // namespace
}  // namespace tally::audit
