// What does not fit in what the other side says of its uses: each gap by its name.
#include "tally/transfer/statement_inquiry.hpp"

#include <gtest/gtest.h>

namespace tally::transfer {
namespace {

// Twelve records: permitted and executed in turn, ten bytes each; two statements over them.
UseAccount account() {
  UseAccount out;
  out.origin = "did:web:institute.example/log/1";
  out.last = 12;
  for (std::uint64_t aseq = 1; aseq <= 12; ++aseq) {
    audit::UseLine line;
    line.aseq = aseq;
    line.seq = 100 + aseq;
    line.type = aseq % 2 == 1 ? "use.permitted" : "use.executed";
    line.time = "2026-03-01T08:00:" + std::to_string(10 + aseq) + ".000000Z";
    line.bytes = aseq % 2 == 1 ? 0 : 10;
    out.lines.push_back(line);
  }
  for (const auto& [number, from, to] : {std::tuple{1U, 1U, 4U}, std::tuple{2U, 5U, 10U}}) {
    audit::Statement statement;
    statement.number = number;
    statement.origin = out.origin;
    statement.sums = audit::add_up(out.lines, from, to);
    out.statements.push_back(statement);
  }
  return out;
}

std::vector<std::string> gaps(const UseAccount& account) {
  std::vector<std::string> out;
  for (const auto& gap : gaps_in(account)) {
    std::string text = gap.code.substr(std::string_view("transfer.").size());
    for (const auto& [name, value] : gap.params) {
      if (name != "stated" || gap.code.ends_with("than-stated")) {
        if (name != "added") text += " " + value;
      }
    }
    out.push_back(text);
  }
  return out;
}

using Gaps = std::vector<std::string>;

TEST(StatementInquiry, WhatFitsHasNoGap) {
  EXPECT_EQ(gaps(account()), Gaps{});
  auto part = account();
  part.from = 5;
  part.lines.erase(part.lines.begin(), part.lines.begin() + 4);
  EXPECT_EQ(gaps(part), Gaps{});
}

TEST(StatementInquiry, EveryGapIsNamed) {
  const std::vector<std::pair<std::function<void(UseAccount&)>, Gaps>> rows = {
      {[](UseAccount& a) { a.lines.erase(a.lines.begin() + 10); }, {"records-missing 11 11"}},
      {[](UseAccount& a) { a.lines.pop_back(); }, {"records-missing 12 12"}},
      // One that counts is missing: its statement shows it too.
      {[](UseAccount& a) { a.lines.erase(a.lines.begin() + 5); },
       {"records-missing 6 6", "statement-other-sums 2"}},
      {[](UseAccount& a) { a.lines[5].bytes = 11; }, {"statement-other-sums 2"}},
      {[](UseAccount& a) { a.lines[5].rows = 1; }, {"statement-other-sums 2"}},
      {[](UseAccount& a) { a.statements[1].sums.refusals["usage.x"] = 1; },
       {"statement-other-sums 2"}},
      {[](UseAccount& a) { a.statements.erase(a.statements.begin()); },
       {"statement-missing 1", "statement-not-contiguous 0 5 2"}},
      {[](UseAccount& a) { a.statements[1].sums = audit::add_up(a.lines, 7, 10); },
       {"statement-not-contiguous 4 7 2"}},
      {[](UseAccount& a) {
         a.last = 8;
         a.lines.resize(8);
       },
       {"records-fewer-than-stated 8 10"}},
  };
  for (const auto& [spoil, expected] : rows) {
    auto spoiled = account();
    spoil(spoiled);
    EXPECT_EQ(gaps(spoiled), expected);
  }
}

// Another log of the same party numbers its own.
TEST(StatementInquiry, StatementsOfALogBeforeAreNotMeasuredByThisOne) {
  auto both = account();
  audit::Statement before = both.statements[0];
  before.origin = "did:web:institute.example/log/0";
  before.number = 7;
  both.statements.push_back(before);
  EXPECT_EQ(gaps(both), Gaps{});
}

}  // namespace
}  // namespace tally::transfer
