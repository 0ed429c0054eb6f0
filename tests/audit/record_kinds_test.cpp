// Every type of record with what it must carry: the table of the program itself, played against the
// writer and the verifier.
#include <algorithm>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tally/audit/commitment.hpp"
#include "tally/audit/record_types.hpp"
#include "tally/audit/verify.hpp"

#include "log_fixture.hpp"

namespace tally::audit {
namespace {

class RecordKinds : public LogTest {
 protected:
  void SetUp() override {
    create();
    life = std::make_unique<LogLife>(disk, clock, limits);
    ASSERT_TRUE(life->writer);
  }
  // One of each member that the type has, but for `without`.
  RecordDraft example(const RecordType& type, std::string_view without = {}) {
    RecordDraft draft(type.name, new_event(random, clock.at));
    for (const auto* members : {&type.required, &type.also}) {
      for (const auto member : *members) {
        if (member == without) continue;
        if (member == "agreement") {
          draft.about(AgreementId("urn:a:1"));
        } else {
          draft.set(member, "x");
        }
      }
    }
    return draft;
  }
  Result<Appended> write(RecordDraft draft) {
    Ticket ticket = life->writer->enqueue(std::move(draft));
    life->writer->commit_batch();
    return life->wait(std::move(ticket));
  }
  // The writer alone makes these two.
  static bool is_writers_own(const RecordType& type) {
    return type.name == "log.genesis" || type.name == "log.heads";
  }

  std::unique_ptr<LogLife> life;
};

TEST_F(RecordKinds, AreTakenWithAllTheyMustCarryAndTheLogVerifies) {
  std::uint64_t written = 1;
  for (const auto& type : record_types()) {
    // A new key needs a note that the key before it signed (key_rotation_test.cpp), and pruning a
    // file that stands for what went (pruning_test.cpp).
    if (is_writers_own(type) || type.name == "key.rotated" || type.name == "retention.pruned") {
      continue;
    }
    const auto done = write(example(type));
    ASSERT_TRUE(done) << type.name << ": " << render(done.error().message, Lang::en);
    ++written;
  }
  ASSERT_TRUE(life->writer->close());
  const auto report = verify();
  EXPECT_EQ(report.verdict, Verdict::whole);
  EXPECT_EQ(report.records, written);
}

TEST_F(RecordKinds, AreRefusedWithoutAnyOneOfThese) {
  std::size_t members = 0;
  for (const auto& type : record_types()) {
    if (is_writers_own(type)) continue;
    for (const auto* list : {&type.required, &type.also}) {
      for (const auto member : *list) {
        ++members;
        const auto done = write(example(type, member));
        ASSERT_FALSE(done) << type.name << " without " << member;
        EXPECT_EQ(done.error().message.code, "audit.draft-incomplete");
        EXPECT_EQ(done.error().message.params.at("member"), member);
      }
    }
  }
  EXPECT_GT(members, 100U);
  EXPECT_EQ(life->writer->mark().size, 1U);  // nothing of it is in the log
}

TEST_F(RecordKinds, NameEachMemberOnce) {
  for (const auto& type : record_types()) {
    for (const auto member : type.also) {
      EXPECT_EQ(std::count(type.required.begin(), type.required.end(), member), 0)
          << type.name << " " << member;
    }
  }
}

// --- what stands beside the log ---

TEST(Commitment, IsTheVectorOfTheFormat) {
  Bytes salt(16);
  for (std::size_t i = 0; i < salt.size(); ++i) salt[i] = static_cast<std::uint8_t>(i);
  std::ifstream file(std::string(TALLY_SOURCE_DIR) + "/docs/audit-log-format.md");
  const std::string page((std::istreambuf_iterator<char>(file)), {});
  EXPECT_NE(page.find(to_hex(commitment_to(salt, R"({"subject":"ward-7"})"))), std::string::npos);
  EXPECT_EQ(
      to_hex(commitment_to(salt, R"({"subject":"ward-7"})")),
      "76e32aed2db78c790898cfdd7d402204c2b013b167acd7f127819c9167af506c"
  );
}

TEST(Commitment, IsShownByItsOpeningAndByNothingElse) {
  const Opening opening{Bytes(32, 7), R"({"subject":"ward 3"})"};
  const std::string record =
      R"({"private":")" + digest_text(commitment_to(opening.salt, opening.fact)) + R"("})";
  EXPECT_TRUE(check_opening(record, opening));
  const auto read = parse_opening(print(opening));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->fact, opening.fact);
  EXPECT_TRUE(check_opening(record, *read));

  Opening other = opening;
  other.fact = R"({"subject":"ward 4"})";
  EXPECT_EQ(check_opening(record, other).error().message.code, "audit.opening-other");
  other = opening;
  other.salt[31] ^= 1;
  EXPECT_EQ(check_opening(record, other).error().message.code, "audit.opening-other");
  EXPECT_EQ(check_opening(R"({"v":1})", opening).error().message.code, "audit.opening-none");
  for (const char* text :
       {"",
        "{}",
        R"({"opening":1})",
        R"({"fact":"e30=","opening":2,"salt":"AA=="})",
        R"({"fact":"e30","opening":1,"salt":"AA=="})",
        R"({"fact":1,"opening":1,"salt":"AA=="})"}) {
    EXPECT_FALSE(parse_opening(text)) << text;
  }
}

// --- verify --deep ---

class Deep : public LogTest {
 protected:
  struct Line {
    const char* type;
    const char* members;  // the rest of the draft as JSON, after type and event
  };
  // Writes these, each with the event that ends in its number, and looks at them.
  VerifyReport look(const std::vector<Line>& lines, Depth depth = Depth::deep) {
    create();
    LogLife life = live();
    int number = 0;
    for (const auto& line : lines) {
      const std::string event = "01900000-0000-7000-8000-00000000000" + std::to_string(++number);
      RecordDraft draft(line.type, EventId(event));
      const Json members = Json::parse(line.members);
      for (const auto& [key, value] : members.items()) {
        if (key == "agreement") {
          draft.about(AgreementId(value.get<std::string>()));
        } else {
          draft.set_json(key, value);
        }
      }
      Ticket ticket = life.writer->enqueue(std::move(draft));
      life.writer->commit_batch();
      const auto done = life.wait(std::move(ticket));
      EXPECT_TRUE(done) << line.type << ": " << render(done.error().message, Lang::en);
    }
    EXPECT_TRUE(life.writer->close());
    const auto storage = open_log(disk);
    return verify_log(*storage, depth);
  }
};

constexpr const char* contract =
    R"({"agreement":"A","actor":{"domain":"d","uri":"u"},"asset":"a","assurance":"enforced",)"
    R"("counterparty":{"domain":"d","uri":"v"},"limits":[{"allowed":2,"owner":"consumer",)"
    R"("rule":"r"}],"pid":"p","policy":"sha256:aa","role":"consumer","signatures":{},)"
    R"("statements":{}})";
constexpr const char* permit =
    R"({"agreement":"A","action":"read","decision":{"at":"t"},"rules":[{"id":"r","n":1}]})";
constexpr const char* use_2 = R"({"agreement":"A","use":"01900000-0000-7000-8000-000000000002"})";
constexpr const char* done_2 =
    R"({"agreement":"A","uses":[{"bytes":1,"use":"01900000-0000-7000-8000-000000000002"}]})";
constexpr const char* ended =
    R"({"agreement":"A","counterparty":{"domain":"d","uri":"v"},"pid":"p","reason":{"code":"c.d"}})";

constexpr const char* held =
    R"({"agreement":"A","pid":"t",)"
    R"("receipt":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})";
constexpr const char* key_for_it =
    R"({"agreement":"A","content":"sha256:cc","pid":"t",)"
    R"("receipt":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})";
constexpr const char* key_for_another =
    R"({"agreement":"A","content":"sha256:cc","pid":"t",)"
    R"("receipt":"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"})";

// The same with a duty that the rule waits for.
const std::string awaiting =
    std::string(contract).insert(1, R"("awaits":[{"duty":"d","rule":"r"}],)");
constexpr const char* confirmed =
    R"({"action":"compensate","agreement":"A","confirmation":"sha256:c","rule":"d"})";
constexpr const char* confirmed_again =
    R"({"action":"compensate","agreement":"A","confirmation":"sha256:e","rule":"d"})";
constexpr const char* confirmed_another =
    R"({"action":"compensate","agreement":"A","confirmation":"sha256:c","rule":"f"})";

TEST_F(Deep, FindsNothingInUsesWhoseDutyIsConfirmed) {
  const auto report = look(
      {{"contract.finalized", awaiting.c_str()},
       {"duty.confirmed", confirmed},
       {"use.permitted", permit},
       {"duty.confirmed", confirmed_again},
       {"duty.withdrawn", confirmed},
       {"use.permitted", permit},
       {"duty.withdrawn", confirmed_again}}
  );
  EXPECT_EQ(report.verdict, Verdict::whole) << render(report.finding->message, Lang::en);
}

TEST_F(Deep, FindsNothingInALogThatKeepsToTheRules) {
  const auto report = look(
      {{"contract.finalized", contract},
       {"use.permitted", permit},
       {"use.aborted", use_2},
       {"use.permitted", permit},
       {"use.permitted", permit},
       {"transfer.started", R"({"agreement":"A","pid":"t"})"},
       {"transfer.sent", R"({"agreement":"A","pid":"t","bytes":1,"content":"sha256:aa"})"},
       {"contract.terminated", ended},
       {"obligation.due", R"({"agreement":"A","rule":"r"})"}}
  );
  EXPECT_EQ(report.verdict, Verdict::whole) << render(report.finding->message, Lang::en);
}

TEST_F(Deep, FindsNothingInAKeyForAReceiptThatIsHeld) {
  const auto report = look({{"receipt.held", held}, {"key.released", key_for_it}});
  EXPECT_EQ(report.verdict, Verdict::whole) << render(report.finding->message, Lang::en);
}

TEST_F(Deep, NamesTheRuleAndTheRecordThatBreaksIt) {
  const struct {
    const char* code;
    std::uint64_t seq;
    std::vector<Line> lines;
  } cases[] = {
      {"audit.rule-permitted-after-end",
       3,
       {{"contract.finalized", contract},
        {"contract.terminated", ended},
        {"use.permitted", permit}}},
      {"audit.rule-over-limit",
       4,
       {{"contract.finalized", contract},
        {"use.permitted", permit},
        {"use.permitted", permit},
        {"use.permitted", permit}}},
      {"audit.rule-permitted-unconfirmed",
       2,
       {{"contract.finalized", awaiting.c_str()}, {"use.permitted", permit}}},
      {"audit.rule-permitted-unconfirmed",
       3,
       {{"contract.finalized", awaiting.c_str()},
        {"duty.confirmed", confirmed_another},
        {"use.permitted", permit}}},
      {"audit.rule-permitted-unconfirmed",
       4,
       {{"contract.finalized", awaiting.c_str()},
        {"duty.confirmed", confirmed},
        {"duty.withdrawn", confirmed},
        {"use.permitted", permit}}},
      {"audit.rule-use-unknown", 2, {{"contract.finalized", contract}, {"use.executed", done_2}}},
      {"audit.rule-use-unknown", 2, {{"contract.finalized", contract}, {"use.aborted", use_2}}},
      {"audit.rule-use-unknown", 2, {{"contract.finalized", contract}, {"use.interrupted", use_2}}},
      {"audit.rule-use-ended",
       4,
       {{"contract.finalized", contract},
        {"use.permitted", permit},
        {"use.executed", done_2},
        {"use.aborted", use_2}}},
      {"audit.rule-sent-before-started",
       1,
       {{"transfer.sent", R"({"agreement":"A","pid":"t","bytes":1,"content":"sha256:aa"})"}}},
      {"audit.rule-key-before-receipt",
       2,
       {{"receipt.held", held}, {"key.released", key_for_another}}},
      {"audit.rule-destroyed-before-due",
       1,
       {{"data.destroyed", R"({"agreement":"A","artefacts":[],"contents":[],"method":"m"})"}}},
      {"audit.link-form", 1, {{"peer.enrolled", R"({"certificate":"c","counterparty":"ward"})"}}},
      {"audit.link-form", 1, {{"policy.refused", R"({"reason":"because somebody said so"})"}}},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.code);
    put_files(disk, {});
    const auto report = look(one.lines);
    ASSERT_TRUE(report.finding);
    EXPECT_EQ(report.verdict, Verdict::changed);
    EXPECT_EQ(report.finding->message.code, one.code);
    EXPECT_EQ(report.finding->seq, one.seq);
    const auto storage = open_log(disk);
    EXPECT_EQ(verify_log(*storage).verdict, Verdict::whole);  // the chain alone does not tell
  }
}

}  // namespace
}  // namespace tally::audit
