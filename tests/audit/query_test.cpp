#include "tally/audit/query.hpp"

#include <set>

#include "two_logs.hpp"

namespace tally::audit {
namespace {

class QueryTest : public TwoLogs {
 protected:
  void SetUp() override { begin(provider, "clinic.example/log/1", "did:web:clinic.example"); }

  std::vector<QueryRow> rows;
  QueryCount ask(const Query& query, std::uint64_t records = 1'000'000) {
    rows.clear();
    const auto storage = open_log(provider.disk);
    const auto keep = [this](const QueryRow& row) { rows.push_back(row); };
    const auto count = query_log(*storage, records, query, keep);
    EXPECT_TRUE(count);
    EXPECT_EQ(count->matched, rows.size());
    return *count;
  }
  std::vector<std::uint64_t> seqs() const {
    std::vector<std::uint64_t> all;
    for (const QueryRow& row : rows) all.push_back(row.seq);
    return all;
  }
  // Four agreements with three parties, differently rated, and uses of each. The numbers of
  // records that the tests expect are counted by hand here.
  void fill_four() {
    // 1, 2: before the contract, the agreement is named already
    say(provider, "contract.agreed", contract_members("A", "did:web:lab.example"));
    finalized(
        provider,
        "A",
        "provider",
        "did:web:lab.example",
        R"("asset":"cohort","level":3,"class":"personal/health","jurisdiction":"DE",)"
    );
    // 3, 4, 5
    finalized(
        provider,
        "B",
        "provider",
        "did:web:lab.example",
        R"("asset":"map","level":0,"jurisdiction":"FR",)"
    );
    finalized(
        provider,
        "C",
        "provider",
        "did:web:bank.example",
        R"("asset":"flows","level":4,"class":"personality","jurisdiction":"FR",)"
    );
    finalized(provider, "D", "provider", "did:web:mill.example", R"("asset":"old",)");
    // 6 … 25: five rounds of four
    for (int round = 0; round < 5; ++round) {
      for (const char* agreement : {"A", "B", "C", "D"}) use(agreement, round >= 3);
    }
    // 26: outside of every agreement
    say(provider, "log.heartbeat", "{}");
    // 27: this act differs from its contract
    say(provider,
        "use.permitted",
        R"({"agreement":"A","action":"read","decision":{},"rules":[],"level":1,"class":"open"})");
  }
  static std::string contract_members(const std::string& agreement, const std::string& party) {
    return R"({"agreement":")" + agreement + R"(","pid":"n","policy":"sha256:aa",)" +
           R"("counterparty":{"domain":"south","uri":")" + party + R"("}})";
  }
  void use(const std::string& agreement, bool denied) {
    const std::string members =
        R"({"agreement":")" + agreement + R"(","action":"read","decision":{},)";
    if (denied) {
      say(provider,
          "use.denied",
          members + R"("reason":{"code":"usage.limit-reached","params":{"used":"3"}}})");
    } else {
      say(provider, "use.permitted", members + R"("rules":[]})");
    }
  }
};

TEST_F(QueryTest, WithoutConditionsEveryRecordIsThere) {
  fill_four();
  const auto count = ask({});
  EXPECT_EQ(count.read, 28U);
  EXPECT_EQ(count.matched, 28U);
  EXPECT_EQ(rows.at(0).type, "log.genesis");
}

TEST_F(QueryTest, EachConditionFindsWhatAHandCountFinds) {
  fill_four();
  Query query;
  query.types = {"use.denied"};
  EXPECT_EQ(ask(query).matched, 8U);
  EXPECT_EQ(rows.at(0).reasons.at(0).code, "usage.limit-reached");
  EXPECT_EQ(rows.at(0).reasons.at(0).params.at("agreement"), "A");
  query.types = {"use.denied", "use.permitted"};
  EXPECT_EQ(ask(query).matched, 21U);

  query = {};
  query.agreement = "A";
  EXPECT_EQ(ask(query).matched, 8U);  // agreed, finalized, five uses, the one that differs
  query.types = {"use.denied"};
  ask(query);
  EXPECT_EQ(seqs(), (std::vector<std::uint64_t>{18, 22}));

  query = {};
  query.reason = "usage.limit-reached";
  EXPECT_EQ(ask(query).matched, 8U);
  query.reason = "usage.limit";
  EXPECT_EQ(ask(query).matched, 0U);
}

TEST_F(QueryTest, WhatTheContractSaysOnceCountsForTheRecordsUnderIt) {
  fill_four();
  Query query;
  query.party = "did:web:lab.example";  // A: 8, B: 6
  EXPECT_EQ(ask(query).matched, 14U);
  query.types = {"use.permitted"};
  EXPECT_EQ(ask(query).matched, 7U);
  EXPECT_EQ(rows.at(0).counterparty.uri, "did:web:lab.example");
  EXPECT_EQ(rows.at(0).asset, "cohort");

  query = {};
  query.level_min = 3;  // A: 7 of 8 (one differs), C: 6; D says nothing of its 6
  auto count = ask(query);
  EXPECT_EQ(count.matched, 13U);
  EXPECT_EQ(count.undecided, 6U);
  query.level_min = 0;  // all of A, B, C
  EXPECT_EQ(ask(query).matched, 20U);

  query = {};
  query.personal = true;  // A without the one that differs; "personality" is another word
  count = ask(query);
  EXPECT_EQ(count.matched, 7U);
  EXPECT_EQ(count.undecided, 6U);
  std::set<std::string> agreements;
  for (const QueryRow& row : rows) agreements.insert(row.agreement);
  EXPECT_EQ(agreements, std::set<std::string>{"A"});
  query.home = "DE";  // none of A is elsewhere
  EXPECT_EQ(ask(query).matched, 0U);

  query = {};
  query.home = "DE";
  count = ask(query);
  EXPECT_EQ(count.matched, 12U);  // B and C
  EXPECT_EQ(count.undecided, 6U);
}

TEST_F(QueryTest, AnIntervalHoldsItsBeginningAndNotItsEnd) {
  const Appended first = say(provider, "log.heartbeat", "{}");
  const Appended second = say(provider, "log.heartbeat", "{}");
  const Appended third = say(provider, "log.heartbeat", "{}");
  Query query;
  query.from = first.time;
  query.before = third.time;
  ask(query);
  EXPECT_EQ(seqs(), (std::vector<std::uint64_t>{first.seq, second.seq}));
}

TEST_F(QueryTest, LooksNoFurtherThanTold) {
  fill_four();
  Query query;
  query.party = "did:web:lab.example";
  // The contract of A would be record 2: what stands behind the end is not known.
  const auto count = ask(query, 2);
  EXPECT_EQ(count.read, 2U);
  EXPECT_EQ(seqs(), (std::vector<std::uint64_t>{1}));
}

TEST(Personal, IsTheWordAloneOrWithADivision) {
  for (const char* yes :
       {"personal", "personal/health", "personal:a", "personal.b", "personal-c"}) {
    EXPECT_TRUE(is_personal(yes)) << yes;
  }
  for (const char* no : {"", "person", "personality", "impersonal", "Personal", "open"}) {
    EXPECT_FALSE(is_personal(no)) << no;
  }
}

}  // namespace
}  // namespace tally::audit
