#include "tally/audit/verify.hpp"

#include <algorithm>
#include <functional>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "audit/log_format.hpp"
#include "log_fixture.hpp"

namespace tally::audit {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool slow_build = true;
#else
constexpr bool slow_build = false;
#endif
#else
constexpr bool slow_build = false;
#endif

class VerifyTest : public LogTest {
 protected:
  // The end of what was written in a segment.
  static std::uint64_t end_of(const Bytes& bytes) {
    const auto last = std::find_if(bytes.rbegin(), bytes.rend(), [](auto b) { return b != 0; });
    const auto size = static_cast<std::uint64_t>(bytes.rend() - last);
    return (size + 7) / 8 * 8;
  }

  // Writes the whole log anew with other texts: frames, checksums and head as the program makes
  // them. What an attacker without a partner's note can do.
  using Change = std::function<void(std::vector<std::string>&)>;
  void rewrite(const Change& change, bool chain_again, bool head_again) {
    std::vector<std::string> texts;
    {
      const auto storage = open_log(disk);
      const auto each = [&texts](const RecordView& record) { texts.emplace_back(record.text); };
      ASSERT_TRUE(for_each_record(*storage, 0, each));
    }
    change(texts);
    Digest leaf{};
    std::map<std::string, std::pair<std::uint64_t, Digest>> agreements;
    Bytes segment;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (chain_again) {
        Json record = Json::parse(texts[i]);
        record["seq"] = i;
        record["prev"] = i == 0 ? std::string(64, '0') : to_hex(leaf);
        if (record.contains("agreement")) {
          auto& [aseq, last] = agreements[record["agreement"]];
          record["aprev"] = aseq == 0 ? std::string(64, '0') : to_hex(last);
          record["aseq"] = ++aseq;
          texts[i] = to_jcs(record);
          last = leaf_hash(texts[i]);
        }
        texts[i] = to_jcs(record);
      }
      leaf = leaf_hash(texts[i]);
      FrameBuilder frame;
      frame.start(i);
      frame.begin_record() += texts[i];
      frame.end_record();
      const std::string_view bytes = frame.finish();
      segment.insert(segment.end(), bytes.begin(), bytes.end());
    }
    Files files = files_of(disk);
    std::erase_if(files, [](const auto& file) { return segment_first_seq(file.first); });
    files[segment_name(0)] = segment;
    if (head_again) {
      const std::string head = to_text(Head{test_genesis().origin, {texts.size(), to_hex(leaf)}});
      files["head"] = Bytes(head.begin(), head.end());
    }
    put_files(disk, files);
  }

  static void set(std::string& text, const std::string& key, const Json& value) {
    Json record = Json::parse(text);
    record[key] = value;
    text = to_jcs(record);
  }
};

TEST_F(VerifyTest, AWholeLogSaysWhatItCouldNotCheck) {
  fill(200);
  const auto report = verify();
  EXPECT_EQ(report.verdict, Verdict::whole) << describe(report);
  EXPECT_EQ(report.records, 200U);
  EXPECT_EQ(report.leaf.size(), 64U);
  EXPECT_EQ(report.genesis->origin, "clinic.example/log/1");
  EXPECT_LT(report.first_time, report.last_time);
  ASSERT_FALSE(report.notes.empty());
  EXPECT_TRUE(std::any_of(report.notes.begin(), report.notes.end(), [](const Message& note) {
    return note.code == "audit.verify-no-foreign-head";
  }));
  EXPECT_TRUE(std::none_of(report.notes.begin(), report.notes.end(), [](const Message& note) {
    return note.code == "audit.verify-test-log";
  }));
}

TEST_F(VerifyTest, AnEmptyFolderIsIncomplete) {
  const auto report = verify();
  EXPECT_EQ(report.verdict, Verdict::incomplete);
  EXPECT_EQ(report.finding->message.code, "audit.log-missing");
}

// After a clean stop every changed byte of every record is found, and the record named.
TEST_F(VerifyTest, EveryFlippedByteIsFoundAndItsRecordNamed) {
  const std::size_t records = long_tests() ? 1000 : 200;
  limits.log_ahead_bytes = 0;
  fill(records);
  const auto found = layout();
  Files files = files_of(disk);
  sim::Chance chance(3);
  std::uint64_t flips = 0;
  std::uint64_t unnamed = 0;
  for (auto& [name, bytes] : files) {
    if (!segment_first_seq(name)) continue;
    // Every byte in the long run; here every third, with a bit by chance.
    const std::uint64_t step = long_tests() ? 1 : slow_build ? 17 : 3;
    for (std::uint64_t at = chance.below(step); at < bytes.size(); at += step) {
      const auto bit = static_cast<std::uint8_t>(1U << chance.below(8));
      bytes[at] ^= bit;
      disk.overwrite("log/" + name, bytes);
      const auto report = verify();
      ++flips;
      ASSERT_EQ(report.verdict, Verdict::changed) << name << " " << at;
      EXPECT_EQ(report.finding->file, name) << at << describe(report);
      const auto hit =
          std::find_if(found.records.begin(), found.records.end(), [&](const auto& record) {
            return record.file == name && at >= record.offset && at < record.offset + record.bytes;
          });
      if (hit != found.records.end()) {
        const auto seq = static_cast<std::uint64_t>(hit - found.records.begin());
        if (report.finding->seq != seq) {
          ++unnamed;
          ADD_FAILURE() << "flip in record " << seq << " at " << at << ", byte " << at - hit->offset
                        << ": " << describe(report);
        }
        EXPECT_EQ(report.records, seq);
      }
      bytes[at] ^= bit;
    }
    disk.overwrite("log/" + name, bytes);
  }
  EXPECT_GT(flips, 1000U);
  EXPECT_EQ(unnamed, 0U);
  EXPECT_EQ(verify().verdict, Verdict::whole);
}

TEST_F(VerifyTest, EveryFlippedByteOfTheHeadIsFound) {
  fill(20);
  Files files = files_of(disk);
  for (std::size_t at = 0; at < files["head"].size(); ++at) {
    for (const unsigned bit : {1U, 2U, 4U, 16U}) {
      files["head"][at] ^= static_cast<std::uint8_t>(bit);
      put_files(disk, files);
      EXPECT_EQ(verify().verdict, Verdict::changed) << at;
      files["head"][at] ^= static_cast<std::uint8_t>(bit);
    }
  }
  files.erase("head");
  put_files(disk, files);
  EXPECT_EQ(verify().verdict, Verdict::changed);
}

TEST_F(VerifyTest, TheZerosBehindTheEndAreNeverWrittenUnseen) {
  fill(60);
  Files files = files_of(disk);
  std::string name;
  for (const auto& [file, bytes] : files) {
    if (segment_first_seq(file)) name = file;
  }
  Bytes& bytes = files[name];
  const std::uint64_t end = end_of(bytes);
  ASSERT_GT(bytes.size(), end);
  for (std::uint64_t at = end; at < bytes.size(); at += 37) {
    bytes[at] = 1;
    put_files(disk, files);
    EXPECT_NE(verify().verdict, Verdict::whole) << at;
    bytes[at] = 0;
  }
}

TEST_F(VerifyTest, ACutBelowTheHeadIsFoundAtEveryFrame) {
  fill(60);
  const Files files = files_of(disk);
  const auto found = layout();
  for (std::size_t seq = 1; seq < found.records.size(); ++seq) {
    Files changed = files;
    const auto& record = found.records[seq];
    for (auto& [name, bytes] : changed) {
      const auto first = segment_first_seq(name);
      if (first && *first > seq) bytes.clear();
    }
    std::erase_if(changed, [&](const auto& file) {
      return segment_first_seq(file.first).value_or(0) > seq;
    });
    changed[record.file].resize(record.offset - 4);
    put_files(disk, changed);
    EXPECT_EQ(verify().verdict, Verdict::changed) << seq;
  }
}

TEST_F(VerifyTest, TwoSwappedRecordsAreFoundAtTheFirst) {
  fill(50);
  rewrite([](auto& texts) { std::swap(texts[20], texts[30]); }, false, true);
  const auto report = verify();
  EXPECT_EQ(report.verdict, Verdict::changed);
  EXPECT_EQ(report.finding->seq, 20U);
  EXPECT_EQ(report.finding->link, "seq");
}

TEST_F(VerifyTest, RewritingWithGoodChecksumsIsFoundByTheChain) {
  struct Case {
    const char* link;
    std::uint64_t seq;
    Change change;
    bool chain_again = false;
  };
  const std::vector<Case> cases = {
      {"prev", 15, [](auto& t) { set(t[15], "purpose", "other"); }},
      {"seq", 10, [](auto& t) { t.erase(t.begin() + 10); }},
      {"seq", 11, [](auto& t) { t.insert(t.begin() + 10, t[10]); }},
      {"event", 12, [](auto& t) { set(t[12], "event", Json::parse(t[11])["event"]); }, true},
      {"time", 12, [](auto& t) { set(t[12], "time", "2020-01-01T00:00:00.000000Z"); }, true},
      {"member", 12, [](auto& t) { set(t[12], "time", "yesterday"); }, true},
      {"member", 12, [](auto& t) { set(t[12], "v", 2); }, true},
      {"member", 12, [](auto& t) { set(t[12], "event", "1"); }, true},
      {"type", 12, [](auto& t) { set(t[12], "type", "use.invented"); }, true},
      {"member", 12, [](auto& t) { set(t[12], "type", "use.aborted"); }, true},
      {"log", 12, [](auto& t) { set(t[12], "log", "other/log/1"); }, true},
      {"clock", 12, [](auto& t) { set(t[12], "clock", "test"); }, true},
      {"genesis",
       12,
       [](auto& t) {
         set(t[12], "type", "log.genesis");
         for (const char* key : {"actor", "suite", "test", "vkey"}) {
           set(t[12], key, Json::parse(t[0])[key]);
         }
       },
       true},
      {"genesis", 0, [](auto& t) { set(t[0], "vkey", "x+00000000+AQ=="); }, true},
      {"genesis",
       0,
       [](auto& t) {  // a key of a witness is none of a log
         const auto key = make_verifier_key(test_genesis().origin, Bytes(32), cosignature_type);
         set(t[0], "vkey", key.text());
       },
       true},
      {"genesis", 0, [](auto& t) { set(t[0], "suite", "rot13"); }, true},
      {"genesis", 0, [](auto& t) { t.erase(t.begin()); }, true},
      {"canonical", 12, [](auto& t) { t[12].insert(1, " "); }},
  };
  fill(40);
  const Files files = files_of(disk);
  for (const Case& one : cases) {
    put_files(disk, files);
    rewrite(one.change, one.chain_again, true);
    const auto report = verify();
    ASSERT_EQ(report.verdict, Verdict::changed) << one.link;
    EXPECT_EQ(report.finding->link, one.link) << describe(report);
    EXPECT_EQ(report.finding->seq, one.seq) << one.link << describe(report);
    const std::string sentence = render(report.finding->message, Lang::zh);
    EXPECT_EQ(sentence.find('{'), std::string::npos) << sentence;
  }
}

TEST_F(VerifyTest, TheSequenceOfAnAgreementIsCheckedApartFromTheChain) {
  fill(40);
  // Consistent as a chain, but one agreement lost a record in its own sequence.
  std::size_t victim = 0;
  rewrite(
      [&victim](auto& texts) {
        for (std::size_t i = 20; i < texts.size(); ++i) {
          if (Json::parse(texts[i]).contains("agreement")) {
            victim = i;
            break;
          }
        }
      },
      true,
      true
  );
  ASSERT_EQ(verify().verdict, Verdict::whole) << describe(verify());
  for (const bool number : {true, false}) {
    const Files before = files_of(disk);
    rewrite(
        [&](auto& texts) {
          // Chained by hand from the victim on, with its own sequence wrong.
          set(texts[victim],
              number ? "aseq" : "aprev",
              number ? Json(77) : Json(std::string(64, 'f')));
          for (std::size_t i = victim + 1; i < texts.size(); ++i) {
            set(texts[i], "prev", to_hex(leaf_hash(texts[i - 1])));
          }
        },
        false,
        true
    );
    const auto report = verify();
    EXPECT_EQ(report.verdict, Verdict::changed);
    EXPECT_EQ(report.finding->seq, victim);
    EXPECT_EQ(report.finding->link, number ? "aseq" : "aprev");
    put_files(disk, before);
  }
}

// What one side alone cannot see, said plainly: a log rewritten as a whole, with its head.
TEST_F(VerifyTest, AWrongRootOfTheMapOfHeadsIsFound) {
  fill(40);
  {
    LogLife life = live();
    ASSERT_TRUE(life.append("log.heads"));
    ASSERT_TRUE(life.append("use.permitted", "urn:a:1"));
    ASSERT_TRUE(life.append("log.heads"));
    ASSERT_TRUE(life.writer->close());
  }
  ASSERT_EQ(verify().verdict, Verdict::whole) << describe(verify());
  const Files good = files_of(disk);

  // A root of another moment, and another count; all else is as the program makes it.
  const auto older = [](auto& texts) { set(texts[42], "root", Json::parse(texts[40])["root"]); };
  rewrite(older, true, true);
  auto report = verify();
  EXPECT_EQ(report.verdict, Verdict::changed);
  ASSERT_TRUE(report.finding);
  EXPECT_EQ(report.finding->link, "heads");
  EXPECT_EQ(report.finding->seq, 42U);
  EXPECT_EQ(report.records, 42U);

  put_files(disk, good);
  rewrite([](auto& texts) { set(texts[40], "count", 4); }, true, true);
  report = verify();
  ASSERT_TRUE(report.finding);
  EXPECT_EQ(report.finding->link, "heads");
  EXPECT_EQ(report.finding->seq, 40U);
}

TEST_F(VerifyTest, ARewrittenLogIsWholeAndTheReportSaysThatItCouldBe) {
  fill(40);
  rewrite([](auto& texts) { texts.resize(30); }, true, true);
  const auto report = verify();
  EXPECT_EQ(report.verdict, Verdict::whole) << describe(report);
  EXPECT_EQ(report.notes.front().code, "audit.verify-no-foreign-head");
  // With the head that somebody kept it is seen.
  LogLife life = live({40, std::string(64, '1')});
  EXPECT_EQ(life.error->message.code, "audit.log-short");
}

TEST_F(VerifyTest, AnUnreadableFileIsAFindingNotACrash) {
  fill(20);
  disk.cut_power();
  const auto report = verify();
  EXPECT_EQ(report.verdict, Verdict::incomplete);
  EXPECT_TRUE(report.finding);
}

TEST_F(VerifyTest, GarbageNeverPassesAndNeverCrashes) {
  create();
  sim::Chance chance(11);
  for (int round = 0; round < (long_tests() ? 20'000 : 1'000); ++round) {
    Files files;
    Bytes garbage(chance.below(2000));
    for (auto& byte : garbage) byte = static_cast<std::uint8_t>(chance.draw());
    if (garbage.size() > 40 && chance.happens(0.5)) {
      const std::string magic = "TLF1";
      std::copy(magic.begin(), magic.end(), garbage.begin());
      garbage[4] = garbage[5] = garbage[6] = 0;
      garbage[7] = static_cast<std::uint8_t>(chance.below(32) * 8);
      garbage[16] = garbage[17] = garbage[18] = 0;
      for (std::size_t i = 20; i < 24; ++i) garbage[i] = 0;
    }
    files[segment_name(0)] = garbage;
    if (chance.happens(0.5)) files["head"] = files_of(disk)["head"];
    put_files(disk, files);
    EXPECT_NE(verify().verdict, Verdict::whole);
  }
}

}  // namespace
}  // namespace tally::audit
