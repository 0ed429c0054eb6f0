// What was told, as rows of a store: it comes back as it was, and what is missing is noticed.
#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "aggregates/memory_rows.hpp"

namespace tally::aggregates {
namespace {

const PartyId consumer{"health.example", "urn:test:institute"};
const AssetId asset("urn:test:cohort");
const AgreementId agreement("urn:test:agreement");

// Rows alone, and no disk.
class Rows final : public Store {
 public:
  awaitable<Result<void>> commit(Transaction) override { co_return Result<void>{}; }
  Result<std::optional<Row>> row(std::string_view kind, std::string_view id) override {
    const auto found = all.find({std::string(kind), std::string(id)});
    if (found == all.end()) return std::optional<Row>();
    return std::optional(found->second);
  }
  Result<std::vector<Row>> rows(const Query& query) override {
    std::vector<Row> out;
    for (const auto& [key, row] : all) {
      if (key.first != query.kind || row.id <= query.after) continue;
      if (!query.owner.empty() && row.owner != query.owner) continue;
      if (out.size() < query.most) out.push_back(row);
    }
    return out;
  }
  Result<std::vector<OutgoingMessage>> messages() override {
    return std::vector<OutgoingMessage>();
  }
  Result<std::optional<StoredAnswer>> answer(std::string_view, std::string_view) override {
    return std::optional<StoredAnswer>();
  }
  Result<std::vector<DraftRow>> drafts() override { return std::vector<DraftRow>(); }
  Result<LogMark> mark() override { return LogMark{}; }

  void put(std::vector<Row> puts) {
    for (auto& row : puts) {
      ++row.version;
      all[{row.kind, row.id}] = std::move(row);
    }
  }
  std::map<std::pair<std::string, std::string>, Row> all;
};

std::vector<RowId> ids(std::size_t from, std::size_t to) {
  std::vector<RowId> out;
  for (auto i = from; i < to; ++i) out.push_back(row_id(sha256(std::to_string(i)), 0));
  return out;
}

void tell(Rows& store, Computed computed, std::size_t least) {
  std::vector<Row> puts;
  MemoryRows::load(store, consumer, asset)->add(computed, agreement, least, puts);
  store.put(std::move(puts));
}

TEST(Memory, ComesBackAsItWas) {
  Rows store;
  EXPECT_TRUE(MemoryRows::load(store, consumer, asset)->decode()->rows.empty());
  constexpr std::size_t many = 40'000;  // more than one part has
  RowSet even;
  for (std::uint32_t i = 0; i < many; i += 2) even.push_back(i);
  tell(store, {{}, 1, ids(0, many), {even, {1, 3, 5}}}, 10);
  tell(store, {{}, 1, {}, {}}, 5);
  tell(store, {{}, 1, ids(many, many + 3), {{7, many + 2}}}, 5);
  const auto memory = MemoryRows::load(store, consumer, asset)->decode();
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->rows, ids(0, many + 3));
  ASSERT_EQ(memory->told.size(), 3U);
  EXPECT_EQ(memory->told[0].least, 10U);
  EXPECT_EQ(memory->told[0].sets, (std::vector<RowSet>{even, {1, 3, 5}}));
  EXPECT_EQ(memory->told[2].sets, (std::vector<RowSet>{{7, many + 2}}));
  // Of somebody else nothing is remembered, and of another asset neither.
  EXPECT_TRUE(
      MemoryRows::load(store, {"other.example", consumer.uri}, asset)->decode()->told.empty()
  );
  EXPECT_TRUE(MemoryRows::load(store, consumer, AssetId("urn:test:other"))->decode()->told.empty());
}

TEST(Memory, WhatIsMissingIsNoticed) {
  Rows whole;
  tell(whole, {{}, 1, ids(0, 30), {{1, 2, 3}}}, 3);
  tell(whole, {{}, 1, ids(30, 40), {{35, 36, 37}}}, 3);
  ASSERT_EQ(whole.all.size(), 5U);
  for (const auto& [key, row] : whole.all) {
    if (key.first == "aggregate_memory") continue;
    Rows without = whole;
    without.all.erase(key);
    const auto memory = MemoryRows::load(without, consumer, asset)->decode();
    ASSERT_FALSE(memory) << key.first << " " << key.second;
    EXPECT_EQ(memory.error().message.code, "aggregates.memory-unreadable");
    Rows broken = whole;
    broken.all[key].body = "{}";
    EXPECT_FALSE(MemoryRows::load(broken, consumer, asset)->decode()) << key.first;
  }
}

}  // namespace
}  // namespace tally::aggregates
