#include "tally/audit/reconcile.hpp"

#include "crc32c.hpp"
#include "two_logs.hpp"

namespace tally::audit {
namespace {

constexpr const char* content = "sha256:cc";

// A good story of one transfer, and the ways in which two logs can tell it differently.
class ReconcileTest : public TwoLogs {
 protected:
  void SetUp() override {
    begin_both();
    finalized(provider, "A", "provider", "did:web:lab.example");
    finalized(consumer, "A", "consumer", "did:web:clinic.example");
  }

  // Members of a record of the transfer, as each side names its own process first.
  static std::string of_transfer(bool at_provider, const std::string& more = {}) {
    return std::string(R"({"agreement":"A","pid":")") + (at_provider ? "p1" : "c1") +
           R"(","peerPid":")" + (at_provider ? "c1" : "p1") + "\"" + more + "}";
  }
  static std::string data(const std::string& digest = content, int bytes = 9) {
    return R"(,"content":")" + digest + R"(","bytes":)" + std::to_string(bytes);
  }
  static std::string receipt(const std::string& note) { return R"(,"receipt":")" + note + "\""; }
  void tell(OneLog& side, const std::string& type, const std::string& more = {}) {
    say(side, type, of_transfer(&side == &provider, more));
  }
  void begin_transfer() {
    for (const char* type : {"transfer.requested", "transfer.started"}) {
      tell(consumer, type);
      tell(provider, type);
    }
  }
  void receipts() {
    tell(provider, "receipt.issued", receipt("sha256:s1"));
    tell(consumer, "receipt.held", receipt("sha256:s1"));
    tell(consumer, "receipt.issued", receipt("sha256:r1"));
    tell(provider, "receipt.held", receipt("sha256:r1"));
  }
  void good() {
    begin_transfer();
    tell(provider, "transfer.sent", data());
    tell(consumer, "transfer.received", data());
    receipts();
  }

  Reconciliation look() {
    const auto left = open_log(provider.disk);
    const auto right = open_log(consumer.disk);
    const auto result = reconcile(records_of(*left), records_of(*right));
    EXPECT_TRUE(result);
    return result ? *result : Reconciliation{};
  }
  // "KIND about pid here there" of the lines that do not match.
  static std::vector<std::string> different(const Reconciliation& result) {
    std::vector<std::string> lines;
    for (const auto& line : result.lines) {
      if (line.kind == Reconciled::match) continue;
      EXPECT_EQ(line.agreement, "A");
      std::string text(to_string(line.kind));
      for (const auto& part : {line.about, line.pid, line.here, line.there}) {
        text += " " + (part.empty() ? "-" : part);
      }
      lines.push_back(std::move(text));
    }
    EXPECT_EQ(result.all_match(), lines.empty());
    return lines;
  }
  using Lines = std::vector<std::string>;
};

TEST_F(ReconcileTest, TheSameStoryMatchesLineByLine) {
  good();
  const auto result = look();
  EXPECT_EQ(different(result), Lines{});
  EXPECT_EQ(result.here, "clinic.example/log/1");
  Lines about;
  for (const auto& line : result.lines) about.push_back(line.about);
  EXPECT_EQ(
      about, (Lines{"contract.finalized", "transfer.received", "receipt.issued", "receipt.issued"})
  );
  EXPECT_EQ(result.lines[1].pid, "p1");
  EXPECT_EQ(result.lines[1].here, content);
}

TEST_F(ReconcileTest, KeysThatWereGivenForReceipts) {
  good();
  tell(provider, "key.released", R"(,"content":"sha256:cc","receipt":"sha256:r1")");
  EXPECT_EQ(different(look()), (Lines{"MISSING_THERE key.released p1 sha256:cc -"}));
  const std::string opened = R"(,"content":"sha256:cc","plain":{"content":"sha256:dd","bytes":3})";
  tell(consumer, "key.received", opened);
  const auto result = look();
  EXPECT_EQ(different(result), Lines{});
  EXPECT_EQ(result.lines.back().about, "key.released");
}

TEST_F(ReconcileTest, AKeyThatWasNotGivenByTheOther) {
  good();
  tell(
      consumer,
      "key.received",
      R"(,"content":"sha256:cc","plain":{"content":"sha256:dd","bytes":3})"
  );
  EXPECT_EQ(different(look()), (Lines{"MISSING_HERE key.received p1 - sha256:cc"}));
}

TEST_F(ReconcileTest, HereAndThereAreAsTheLogsAreGiven) {
  begin_transfer();
  tell(provider, "transfer.sent", data());
  const auto left = open_log(consumer.disk);
  const auto right = open_log(provider.disk);
  const auto result = reconcile(records_of(*left), records_of(*right));
  ASSERT_TRUE(result);
  EXPECT_EQ(different(*result), (Lines{"MISSING_HERE transfer.sent p1 - sha256:cc"}));
}

TEST_F(ReconcileTest, WhatOneSideLacks) {
  begin_transfer();
  tell(provider, "transfer.sent", data());
  EXPECT_EQ(different(look()), (Lines{"MISSING_THERE transfer.sent p1 sha256:cc -"}));
}

TEST_F(ReconcileTest, WhatTheOtherSideLacks) {
  begin_transfer();
  tell(consumer, "transfer.received", data());
  EXPECT_EQ(different(look()), (Lines{"MISSING_HERE transfer.received p1 - sha256:cc"}));
}

TEST_F(ReconcileTest, AWholeTransferThatOneSideLacks) {
  tell(consumer, "transfer.requested");
  const auto lines = different(look());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with("MISSING_HERE transfer.requested c1 - ")) << lines[0];
}

TEST_F(ReconcileTest, AContractThatOneSideLacksOrHasOtherwise) {
  finalized(provider, "A2", "provider", "did:web:lab.example");
  auto result = look();
  ASSERT_EQ(result.lines.size(), 2U);
  EXPECT_EQ(result.lines[1].kind, Reconciled::missing_there);
  EXPECT_EQ(result.lines[1].agreement, "A2");
  say(consumer,
      "contract.finalized",
      R"({"agreement":"A2","role":"consumer","assurance":"asserted","signatures":{},)"
      R"("statements":{},"actor":{},"asset":"x","pid":"n","policy":"sha256:bb",)"
      R"("counterparty":{"domain":"n","uri":"did:web:clinic.example"}})");
  result = look();
  ASSERT_EQ(result.lines.size(), 2U);
  EXPECT_EQ(result.lines[1].kind, Reconciled::hash_mismatch);
  EXPECT_EQ(result.lines[1].here, "sha256:aa");
  EXPECT_EQ(result.lines[1].there, "sha256:bb");
}

TEST_F(ReconcileTest, OtherContents) {
  begin_transfer();
  tell(provider, "transfer.sent", data());
  tell(consumer, "transfer.received", data("sha256:dd"));
  receipts();
  EXPECT_EQ(different(look()), (Lines{"HASH_MISMATCH transfer.received p1 sha256:cc sha256:dd"}));
}

TEST_F(ReconcileTest, ARejectedContentIsOneToo) {
  begin_transfer();
  tell(provider, "transfer.sent", data());
  tell(provider, "receipt.issued", receipt("sha256:s1"));
  tell(consumer, "receipt.held", receipt("sha256:s1"));
  tell(
      consumer,
      "transfer.rejected",
      data("sha256:dd") + R"(,"reason":{"code":"transfer.digest-mismatch","params":{}})"
  );
  EXPECT_EQ(different(look()), (Lines{"HASH_MISMATCH transfer.rejected p1 sha256:cc sha256:dd"}));
}

TEST_F(ReconcileTest, OtherLengths) {
  begin_transfer();
  tell(provider, "transfer.sent", data(content, 9));
  tell(consumer, "transfer.received", data(content, 8));
  receipts();
  EXPECT_EQ(different(look()), (Lines{"BYTES_MISMATCH transfer.received p1 9 8"}));
}

TEST_F(ReconcileTest, ContentsArePairedBeforeTheyAreCompared) {
  begin_transfer();
  tell(provider, "transfer.sent", data("sha256:01"));  // cut, changed, and sent anew
  tell(provider, "transfer.sent", data());
  tell(consumer, "transfer.received", data());
  receipts();
  EXPECT_EQ(different(look()), (Lines{"MISSING_THERE transfer.sent p1 sha256:01 -"}));
}

TEST_F(ReconcileTest, AReceiptThatOneSideLacks) {
  begin_transfer();
  tell(provider, "transfer.sent", data());
  tell(consumer, "transfer.received", data());
  tell(provider, "receipt.issued", receipt("sha256:s1"));
  tell(consumer, "receipt.held", receipt("sha256:s2"));
  tell(consumer, "receipt.issued", receipt("sha256:r1"));
  EXPECT_EQ(
      different(look()),
      (Lines{
          "UNSIGNED receipt.issued p1 sha256:s1 -",
          "UNSIGNED receipt.issued p1 - sha256:s2",
          "UNSIGNED receipt.issued p1 - sha256:r1"})
  );
}

TEST_F(ReconcileTest, WithoutAnyReceiptNothingIsSigned) {
  begin_transfer();
  tell(provider, "transfer.sent", data());
  tell(consumer, "transfer.received", data());
  EXPECT_EQ(
      different(look()), (Lines{"UNSIGNED receipt.issued p1 - -", "UNSIGNED receipt.issued p1 - -"})
  );
}

TEST_F(ReconcileTest, ANoteOfDeletionIsJoinedOnItsHash) {
  good();
  const std::string note = R"("of":"deletion","content":"sha256:cc","receipt":)";
  say(consumer, "receipt.issued", R"({"agreement":"A","pid":"n-A",)" + note + R"("sha256:d1"})");
  EXPECT_EQ(different(look()), (Lines{"UNSIGNED data.destroyed n-A - sha256:d1"}));
  say(provider, "receipt.held", R"({"agreement":"A","pid":"p1",)" + note + R"("sha256:d1"})");
  EXPECT_EQ(different(look()), Lines{});
}

TEST_F(ReconcileTest, ClocksThatStandTooFarApart) {
  begin_transfer();
  tell(provider, "transfer.sent", data());
  clock.at = clock.at + seconds(299);
  tell(consumer, "transfer.received", data());  // 300 s later
  receipts();
  EXPECT_EQ(different(look()), Lines{});
}

TEST_F(ReconcileTest, ClocksThatStandASecondTooFarApart) {
  begin_transfer();
  tell(provider, "transfer.sent", data());
  clock.at = clock.at + seconds(300);
  tell(consumer, "transfer.received", data());
  receipts();
  const auto lines = different(look());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with("TIME_SKEW transfer.received p1 2026-03-01T")) << lines[0];
}

TEST_F(ReconcileTest, AStepBeforeTheOneThatItNeeds) {
  tell(consumer, "transfer.requested");
  tell(provider, "transfer.requested");
  tell(provider, "transfer.sent", data());  // record 3
  tell(provider, "transfer.started");       // record 4
  tell(consumer, "transfer.started");
  tell(consumer, "transfer.received", data());
  receipts();
  EXPECT_EQ(different(look()), (Lines{"ORDER transfer.sent p1 3 transfer.started 4 -"}));
}

TEST_F(ReconcileTest, ATransferBeforeItsContract) {
  say(provider, "transfer.requested", R"({"agreement":"A2","pid":"p2"})");
  finalized(provider, "A2", "provider", "did:web:lab.example");
  bool found = false;
  for (const auto& line : look().lines) {
    if (line.kind != Reconciled::order) continue;
    found = true;
    EXPECT_EQ(line.here, "2 contract.finalized 3");
  }
  EXPECT_TRUE(found);
}

TEST_F(ReconcileTest, AHoleInTheSequenceOfAnAgreement) {
  good();
  // A writer makes no such log, and `verify` refuses it: it is made by changing the bytes.
  const std::string name = "log/00000000000000000000.tlog";
  Bytes bytes = *provider.disk.contents(name);
  std::string text(bytes.begin(), bytes.end());
  const auto at = text.find(R"("aseq":4,)");
  ASSERT_NE(at, std::string::npos);
  text[at + 7] = '6';
  const auto frame = text.rfind("TLF1", at);
  std::uint32_t length = 0;
  for (std::size_t i = 4; i < 8; ++i) {
    length = length << 8 | static_cast<std::uint8_t>(text[frame + i]);
  }
  for (std::size_t i = 24; i < 28; ++i) text[frame + i] = 0;
  const std::string whole = text.substr(frame, length);
  const auto crc =
      crc32c_portable({reinterpret_cast<const std::uint8_t*>(whole.data()), whole.size()});
  for (std::size_t i = 0; i < 4; ++i) {
    text[frame + 24 + i] = static_cast<char>(crc >> (24 - 8 * i) & 0xFF);
  }
  provider.disk.overwrite(name, Bytes(text.begin(), text.end()));
  EXPECT_EQ(different(look()), (Lines{"ASEQ_GAP aseq - 3 6 -", "ASEQ_GAP aseq - 6 5 -"}));
}

TEST_F(ReconcileTest, TheOtherSideSawAnotherRecordOrOneThatIsGone) {
  begin_transfer();
  const Appended sent = say(provider, "transfer.sent", of_transfer(true, data()));
  tell(consumer, "transfer.received", data());
  const auto seen = [&](std::uint64_t seq, const std::string& leaf) {
    return receipt("sha256:s1") + R"(,"peer":{"origin":"clinic.example/log/1","seq":)" +
           std::to_string(seq) + R"(,"leaf":")" + leaf + R"("})";
  };
  tell(provider, "receipt.issued", receipt("sha256:s1"));
  tell(consumer, "receipt.held", seen(sent.seq, to_hex(sent.leaf)));
  tell(consumer, "receipt.issued", receipt("sha256:r1"));
  tell(provider, "receipt.held", receipt("sha256:r1"));
  EXPECT_EQ(different(look()), Lines{});
  tell(consumer, "receipt.held", seen(sent.seq, std::string(64, '0')));
  tell(consumer, "receipt.held", seen(99, std::string(64, '1')));
  const std::string at = std::to_string(sent.seq) + " ";
  EXPECT_EQ(
      different(look()),
      (Lines{
          "FORK peer c1 " + at + to_hex(sent.leaf) + " " + at + std::string(64, '0'),
          "TRUNCATED peer c1 - 99 " + std::string(64, '1')})
  );
}

TEST_F(ReconcileTest, AgreementsWithOthersStayOut) {
  good();
  finalized(provider, "B", "provider", "did:web:bank.example");
  say(provider, "transfer.sent", R"({"agreement":"B","pid":"p9","content":"sha256:ee","bytes":1})");
  EXPECT_EQ(different(look()), Lines{});
}

TEST_F(ReconcileTest, RefusesWhatCannotBeReconciled) {
  const auto one = open_log(provider.disk);
  const auto again = open_log(provider.disk);
  auto result = reconcile(records_of(*one), records_of(*again));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.code, "audit.reconcile-same");

  OneLog other;
  begin(other, "bank.example/log/1", "did:web:bank.example");
  const auto bank = open_log(other.disk);
  result = reconcile(records_of(*one), records_of(*bank));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.code, "audit.reconcile-nothing");
}

std::string stated(int uses, int from, int to, const std::string& times, const std::string& note) {
  return R"({"agreement":"A","number":1,"content":")" + note + R"(","sums":{"aseq":{"from":)" +
         std::to_string(from) + R"(,"to":)" + std::to_string(to) + R"(},"bytes":0,"period":)" +
         times + R"(,"refusals":{},"uses":)" + std::to_string(uses) + "}}";
}

// What a permit of these tests needs, and the period of a statement over it alone.
class StatementReconcileTest : public ReconcileTest {
 protected:
  void SetUp() override {
    ReconcileTest::SetUp();
    const auto used =
        say(provider,
            "use.permitted",
            R"({"agreement":"A","action":"read","decision":{"at":"x"},"rules":[]})");
    const std::string time = format_micros(used.time);
    times = R"({"from":")" + time + R"(","until":")" + time + R"("})";
  }
  std::string times;
};

TEST_F(StatementReconcileTest, AGoodStatementMatches) {
  say(provider, "statement.issued", stated(1, 1, 2, times, "sha256:n"));
  say(consumer, "statement.held", stated(1, 1, 2, times, "sha256:n"));
  EXPECT_EQ(different(look()), Lines{});
}

TEST_F(StatementReconcileTest, EachWayToTellItDifferently) {
  say(provider, "statement.issued", stated(2, 1, 2, times, "sha256:n"));
  auto lines = different(look());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_TRUE(lines[0].starts_with("COUNT_MISMATCH statement.issued 1 ")) << lines[0];
  EXPECT_EQ(lines[1], "MISSING_THERE statement.issued 1 sha256:n -");
  say(consumer, "statement.held", stated(1, 1, 2, times, "sha256:n"));
  lines = different(look());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_TRUE(lines[1].starts_with("COUNT_MISMATCH statement.issued 1 {")) << lines[1];
}

// Bytes and rows are compared as uses are.
TEST_F(StatementReconcileTest, RowsAndBytesThatAreNotTheLogsShow) {
  const auto done =
      say(provider, "use.executed", R"({"agreement":"A","uses":[{"bytes":12,"rows":3,"use":"u"}]})"
      );
  auto until = Json::parse(times);
  until["until"] = format_micros(done.time);
  const auto with = [&](int bytes, const std::string& rows) {
    auto record = Json::parse(stated(1, 1, 3, until.dump(), "sha256:n"));
    record["sums"]["bytes"] = bytes;
    if (!rows.empty()) record["sums"]["rows"] = std::stoi(rows);
    return record.dump();
  };
  const std::tuple<int, const char*, bool> rows[] = {
      {12, "3", true}, {12, "4", false}, {12, "", false}, {13, "3", false}};
  std::uint64_t number = 0;
  for (const auto& [bytes, counted, good] : rows) {
    auto record = Json::parse(with(bytes, counted));
    record["number"] = ++number;
    say(provider, "statement.issued", record.dump());
    say(consumer, "statement.held", record.dump());
    std::size_t found = 0;
    for (const auto& line : different(look())) {
      if (line.starts_with("COUNT_MISMATCH statement.issued " + std::to_string(number) + " ")) {
        ++found;
      }
    }
    EXPECT_EQ(found, good ? 0U : 1U) << number;
  }
}

TEST_F(StatementReconcileTest, WhatNobodySignedOrOnlyOneSideKnows) {
  say(consumer, "statement.held", stated(1, 1, 2, times, "sha256:n"));
  EXPECT_EQ(different(look()), Lines{"UNSIGNED statement.issued 1 - sha256:n"});
  say(provider, "statement.issued", stated(1, 1, 2, times, "sha256:m"));
  EXPECT_EQ(different(look()), Lines{"HASH_MISMATCH statement.issued 1 sha256:m sha256:n"});
}

}  // namespace
}  // namespace tally::audit
