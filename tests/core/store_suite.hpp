// What every Store has to do, run over each of them. A Harness is default-constructible and has
//   Store& store();
//   std::vector<Result<void>> commit_all(std::vector<Transaction>);  // started together, in order
//   void reopen();   // as after a clean stop and a new start: only what is durable is there
// Instantiate: INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, StoreSuite, SqliteHarness);
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tally/core/store.hpp"

namespace tally {

namespace store_suite {

inline Row row(
    std::string id,
    std::uint64_t version = 0,
    std::string body = "{}",
    std::string state = "open",
    std::string owner = "o1",
    std::string kind = "offer"
) {
  Row made;
  made.kind = std::move(kind);
  made.id = std::move(id);
  made.version = version;
  made.state = std::move(state);
  made.owner = std::move(owner);
  made.body = std::move(body);
  return made;
}

inline OutgoingMessage message(std::string id, std::int64_t created = 5) {
  OutgoingMessage made;
  made.id = std::move(id);
  made.process = "urn:uuid:p";
  made.to = {"health", "https://b.example/"};
  made.method = "POST";
  made.url = "https://b.example/negotiations/1/events";
  made.headers = R"({"Tally-Agreement":"x"})";
  made.body = "{\"数据\":1}";
  made.created = {created, 123'456'789};
  made.next_attempt = {created + 1, 999'999'999};
  return made;
}

inline std::vector<std::string> ids(const Result<std::vector<Row>>& rows) {
  std::vector<std::string> found;
  for (const Row& one : rows.value()) found.push_back(one.id);
  return found;
}

}  // namespace store_suite

template <class Harness>
class StoreSuite : public testing::Test {
 protected:
  Store& store() { return harness_.store(); }
  Result<void> commit(Transaction transaction) {
    std::vector<Transaction> units;
    units.push_back(std::move(transaction));
    return harness_.commit_all(std::move(units)).front();
  }
  Result<void> put(Row row) {
    Transaction unit;
    unit.puts.push_back(std::move(row));
    return commit(std::move(unit));
  }
  std::vector<Result<void>> commit_all(std::vector<Transaction> units) {
    return harness_.commit_all(std::move(units));
  }
  void reopen() { harness_.reopen(); }

  Harness harness_;
};

TYPED_TEST_SUITE_P(StoreSuite);

TYPED_TEST_P(StoreSuite, ANewStoreIsEmpty) {
  EXPECT_FALSE(this->store().row("offer", "a").value());
  EXPECT_TRUE(this->store().messages().value().empty());
  EXPECT_TRUE(this->store().drafts().value().empty());
  EXPECT_FALSE(this->store().answer("p", "m").value());
  EXPECT_EQ(this->store().mark().value().size, 0U);
  EXPECT_EQ(this->store().mark().value().leaf, "");
}

TYPED_TEST_P(StoreSuite, ACommittedRowIsReadWithItsNextVersion) {
  using store_suite::row;
  const std::string body = std::string("{\"a\":\"") + "数据\\u0000\"}";
  ASSERT_TRUE(this->put(row("a", 0, body)));
  Row expected = row("a", 1, body);
  EXPECT_EQ(this->store().row("offer", "a").value(), expected);
  ASSERT_TRUE(this->put(row("a", 1, "{\"b\":2}", "closed", "")));
  expected = row("a", 2, "{\"b\":2}", "closed", "");
  EXPECT_EQ(this->store().row("offer", "a").value(), expected);
  EXPECT_FALSE(this->store().row("asset", "a").value());
  this->reopen();
  EXPECT_EQ(this->store().row("offer", "a").value(), expected);
}

TYPED_TEST_P(StoreSuite, AVersionThatDoesNotMatchChangesNothing) {
  using store_suite::row;
  ASSERT_TRUE(this->put(row("a")));
  for (const std::uint64_t wrong : {0U, 2U, 7U}) {
    Transaction unit;
    unit.puts = {row("b"), row("a", wrong, "{\"x\":1}")};
    unit.messages = {store_suite::message("m")};
    unit.drafts = {{"e", 0, "{}"}};
    unit.answer = StoredAnswer{"p", "m", "d", 200, "{}"};
    unit.mark = {9, "ff"};
    const auto result = this->commit(unit);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::conflict);
    EXPECT_EQ(result.error().message.code, "store.version-mismatch");
  }
  EXPECT_EQ(this->store().row("offer", "a").value(), row("a", 1));
  EXPECT_FALSE(this->store().row("offer", "b").value());
  EXPECT_TRUE(this->store().messages().value().empty());
  EXPECT_TRUE(this->store().drafts().value().empty());
  EXPECT_FALSE(this->store().answer("p", "m").value());
  EXPECT_EQ(this->store().mark().value().size, 0U);
  // A row that was never stored has no version to match.
  const auto missing = this->put(row("c", 1));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::conflict);
}

TYPED_TEST_P(StoreSuite, AnEraseNeedsTheVersionToo) {
  using store_suite::row;
  ASSERT_TRUE(this->put(row("a")));
  Transaction unit;
  unit.erases = {row("a", 0)};
  EXPECT_FALSE(this->commit(unit));
  unit.erases = {row("b", 1)};
  EXPECT_FALSE(this->commit(unit));
  unit.erases = {row("a", 1)};
  EXPECT_TRUE(this->commit(unit));
  EXPECT_FALSE(this->store().row("offer", "a").value());
  EXPECT_TRUE(this->put(row("a", 0)));
  EXPECT_EQ(this->store().row("offer", "a").value(), row("a", 1));
}

TYPED_TEST_P(StoreSuite, OneOfSeveralAtOnceFailsAlone) {
  using store_suite::row;
  ASSERT_TRUE(this->put(row("a")));
  std::vector<Transaction> units(5);
  units[0].puts = {row("a", 1, "{\"by\":0}")};
  units[1].puts = {row("x"), row("a", 1, "{\"by\":1}")};
  units[2].puts = {row("b")};
  units[3].puts = {row("a", 2, "{\"by\":3}")};
  units[4].puts = {row("b")};
  const auto results = this->commit_all(units);
  ASSERT_EQ(results.size(), 5U);
  EXPECT_TRUE(results[0]);
  EXPECT_FALSE(results[1]);
  EXPECT_TRUE(results[2]);
  EXPECT_TRUE(results[3]);
  EXPECT_FALSE(results[4]);
  EXPECT_EQ(this->store().row("offer", "a").value(), row("a", 3, "{\"by\":3}"));
  EXPECT_FALSE(this->store().row("offer", "x").value());
  this->reopen();
  EXPECT_EQ(this->store().row("offer", "a").value(), row("a", 3, "{\"by\":3}"));
  EXPECT_EQ(this->store().row("offer", "b").value(), row("b", 1));
}

TYPED_TEST_P(StoreSuite, RowsAreFilteredOrderedAndPaged) {
  using store_suite::ids;
  using store_suite::row;
  Transaction unit;
  unit.puts = {
      row("d", 0, "{}", "open", "o2"),
      row("a", 0, "{}", "open", "o1"),
      row("c", 0, "{}", "closed", "o1"),
      row("b", 0, "{}", "open", "o1"),
      row("B", 0, "{}", "open", "o1"),
      row("a", 0, "{}", "open", "o1", "asset"),
  };
  ASSERT_TRUE(this->commit(unit));
  using List = std::vector<std::string>;
  Store& store = this->store();
  EXPECT_EQ(ids(store.rows({"offer", "", "", "", 100})), (List{"B", "a", "b", "c", "d"}));
  EXPECT_EQ(ids(store.rows({"offer", "open", "", "", 100})), (List{"B", "a", "b", "d"}));
  EXPECT_EQ(ids(store.rows({"offer", "", "o1", "", 100})), (List{"B", "a", "b", "c"}));
  EXPECT_EQ(ids(store.rows({"offer", "closed", "o1", "", 100})), (List{"c"}));
  EXPECT_EQ(ids(store.rows({"offer", "", "", "a", 2})), (List{"b", "c"}));
  EXPECT_EQ(ids(store.rows({"offer", "open", "", "b", 100})), (List{"d"}));
  EXPECT_EQ(ids(store.rows({"asset", "", "", "", 100})), (List{"a"}));
  EXPECT_TRUE(ids(store.rows({"nothing", "", "", "", 100})).empty());
}

// State and owner can change with each version, together or one of them, or neither.
TYPED_TEST_P(StoreSuite, AChangedRowIsFoundByWhatItSaysNow) {
  using store_suite::ids;
  using store_suite::row;
  using List = std::vector<std::string>;
  const struct {
    const char* state;
    const char* owner;
  } versions[] = {
      {"open", "o1"}, {"open", "o1"}, {"closed", "o1"}, {"closed", "o2"}, {"open", "o3"}};
  std::uint64_t version = 0;
  for (const auto& is : versions) {
    const auto body = "{\"v\":" + std::to_string(version) + "}";
    ASSERT_TRUE(this->put(row("a", version, body, is.state, is.owner)));
    ++version;
    Store& store = this->store();
    EXPECT_EQ(store.row("offer", "a").value(), row("a", version, body, is.state, is.owner));
    for (const char* state : {"open", "closed"}) {
      const List wanted = std::string(state) == is.state ? List{"a"} : List{};
      EXPECT_EQ(ids(store.rows({"offer", state, "", "", 100})), wanted) << version << state;
    }
    for (const char* owner : {"o1", "o2", "o3"}) {
      const List wanted = std::string(owner) == is.owner ? List{"a"} : List{};
      EXPECT_EQ(ids(store.rows({"offer", "", owner, "", 100})), wanted) << version << owner;
    }
  }
}

TYPED_TEST_P(StoreSuite, MessagesKeepTheirOrderAndAreUpdatedById) {
  using store_suite::message;
  Transaction unit;
  unit.messages = {message("z", 50), message("a", 40)};
  ASSERT_TRUE(this->commit(unit));
  OutgoingMessage again = message("z", 50);
  again.attempts = 3;
  again.last_answer = "503";
  again.next_attempt = {99, 1};
  unit.messages = {again, message("m", 1)};
  ASSERT_TRUE(this->commit(unit));
  this->reopen();
  const auto all = this->store().messages();
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 3U);
  EXPECT_EQ((*all)[0], again);
  EXPECT_EQ((*all)[1], message("a", 40));
  EXPECT_EQ((*all)[2], message("m", 1));
  Transaction done;
  done.delivered_messages = {"a", "never-there"};
  ASSERT_TRUE(this->commit(done));
  EXPECT_EQ(this->store().messages()->size(), 2U);
}

TYPED_TEST_P(StoreSuite, AnswersAreFoundByProcessAndMessage) {
  Transaction unit;
  unit.answer = StoredAnswer{"p1", "m", "d1", 201, "{\"a\":1}"};
  ASSERT_TRUE(this->commit(unit));
  const StoredAnswer other{"p2", "m", "d2", 400, ""};
  unit.answer = other;
  ASSERT_TRUE(this->commit(unit));
  this->reopen();
  const StoredAnswer first{"p1", "m", "d1", 201, "{\"a\":1}"};
  EXPECT_EQ(this->store().answer("p1", "m").value(), first);
  EXPECT_EQ(this->store().answer("p2", "m").value(), other);
  EXPECT_FALSE(this->store().answer("p1", "n").value());
}

TYPED_TEST_P(StoreSuite, DraftsStayUntilTheLogHasThem) {
  Transaction unit;
  unit.drafts = {{"e2", 7, "{\"n\":1}"}, {"e1", 7, "{\"n\":2}"}};
  ASSERT_TRUE(this->commit(unit));
  Transaction next;
  next.drafts = {{"e0", 9, "{\"n\":3}"}};
  next.logged_events = {"e1", "unknown"};
  ASSERT_TRUE(this->commit(next));
  this->reopen();
  const auto drafts = this->store().drafts();
  ASSERT_TRUE(drafts);
  ASSERT_EQ(drafts->size(), 2U);
  EXPECT_EQ((*drafts)[0].event, "e2");
  EXPECT_EQ((*drafts)[0].log_size, 7U);
  EXPECT_EQ((*drafts)[0].draft, "{\"n\":1}");
  EXPECT_EQ((*drafts)[1].event, "e0");
}

TYPED_TEST_P(StoreSuite, TheMarkIsNeverLowered) {
  Transaction unit;
  unit.mark = {10, "aa"};
  ASSERT_TRUE(this->commit(unit));
  unit.mark = {4, "bb"};
  ASSERT_TRUE(this->commit(unit));
  unit.mark = {};
  ASSERT_TRUE(this->commit(unit));
  EXPECT_EQ(this->store().mark()->size, 10U);
  EXPECT_EQ(this->store().mark()->leaf, "aa");
  unit.mark = {11, "cc"};
  ASSERT_TRUE(this->commit(unit));
  this->reopen();
  EXPECT_EQ(this->store().mark()->size, 11U);
  EXPECT_EQ(this->store().mark()->leaf, "cc");
}

REGISTER_TYPED_TEST_SUITE_P(
    StoreSuite,
    ANewStoreIsEmpty,
    ACommittedRowIsReadWithItsNextVersion,
    AVersionThatDoesNotMatchChangesNothing,
    AnEraseNeedsTheVersionToo,
    OneOfSeveralAtOnceFailsAlone,
    RowsAreFilteredOrderedAndPaged,
    AChangedRowIsFoundByWhatItSaysNow,
    MessagesKeepTheirOrderAndAreUpdatedById,
    AnswersAreFoundByProcessAndMessage,
    DraftsStayUntilTheLogHasThem,
    TheMarkIsNeverLowered
);

}  // namespace tally
