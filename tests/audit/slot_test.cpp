// The checkpoint in the slot of a frame: when the writer puts one there, and what verify says of
// one that is not over the records before it.
#include <fstream>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "audit/known_keys.hpp"
#include "audit/log_fixture.hpp"
#include "log_format.hpp"
#include "segment_reader.hpp"

namespace tally::audit {
namespace {

const std::string origin = "clinic.example/log/1";

class SlotTest : public LogTest {
 protected:
  void SetUp() override {
    Genesis genesis = test_genesis();
    genesis.vkey = key_of(origin, log_seed).text();
    const auto storage = open_log(disk);
    ASSERT_TRUE(create_log(*storage, genesis, clock, random));
  }
  static void give_key(LogLife& life) {
    life.writer->tree().sign_with(key_of(origin, log_seed), signer_of(log_seed));
  }
  // The slots of all frames, by the number of the frame's first record.
  std::map<std::uint64_t, std::string> slots() {
    std::map<std::uint64_t, std::string> found;
    const auto storage = open_log(disk);
    const auto segments = list_segments(*storage).value();
    for (const SegmentName& segment : segments) {
      auto reader = SegmentReader::open(*storage, segment.name).value();
      for (std::uint64_t offset = 0;;) {
        const Frame frame = reader.frame_at(offset).value();
        if (frame.state != FrameState::valid) break;
        if (!frame.checkpoint.empty()) found[frame.first_seq] = frame.checkpoint;
        offset += frame.length;
      }
    }
    return found;
  }
  static std::string note(
      std::uint64_t size, const Digest& root, const std::string& seed = log_seed
  ) {
    return sign_checkpoint({origin, size, root, {}}, key_of(origin, seed), signer_of(seed)).value();
  }
  // The log again in frames of one record, with `slot` in the one that begins with record `at`.
  void write(const std::vector<std::string>& texts, std::uint64_t at, const std::string& slot) {
    Bytes segment;
    for (std::uint64_t i = 0; i < texts.size(); ++i) {
      FrameBuilder frame;
      frame.start(i, i == at ? slot : std::string());
      frame.begin_record() += texts[i];
      frame.end_record();
      const std::string_view bytes = frame.finish();
      segment.insert(segment.end(), bytes.begin(), bytes.end());
    }
    Files files = files_of(disk);
    files[segment_name(0)] = segment;
    put_files(disk, files);
  }
};

TEST_F(SlotTest, EachReleasedCheckpointIsFollowedByOneInTheLog) {
  {
    LogLife life = live();
    give_key(life);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(life.append("log.heartbeat"));
    EXPECT_TRUE(slots().empty());
    const auto released = life.writer->tree().checkpoint();
    ASSERT_TRUE(released);
    ASSERT_TRUE(life.append("log.heartbeat"));
    // The same one, since nothing came between.
    ASSERT_EQ(slots().size(), 1U);
    EXPECT_EQ(slots()[6], released->note);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(life.append("log.heartbeat"));
    EXPECT_EQ(slots().size(), 1U);
    ASSERT_TRUE(life.writer->close());
  }
  {
    // A start does not know which one stands in the log: the next frame says it again.
    LogLife life = live();
    give_key(life);
    ASSERT_TRUE(life.append("log.heartbeat"));
    EXPECT_EQ(slots().size(), 2U);
    ASSERT_TRUE(life.append("log.heartbeat"));
    ASSERT_TRUE(life.writer->tree().checkpoint());
    // No signature while keys change.
    life.writer->tree().hold_signing();
    ASSERT_TRUE(life.append("log.heartbeat"));
    EXPECT_EQ(slots().size(), 2U);
    give_key(life);
    ASSERT_TRUE(life.append("log.heartbeat"));
    ASSERT_EQ(slots().size(), 3U);
    // Over all records before its frame, and not what was released.
    const auto [size, text] = *slots().rbegin();
    const auto verified = verify_checkpoint(text, std::vector{key_of(origin, log_seed)});
    ASSERT_TRUE(verified);
    EXPECT_EQ(verified->checkpoint.size, size);
    EXPECT_EQ(verified->checkpoint.root, *life.writer->tree().root(size));
    ASSERT_TRUE(life.writer->close());
  }
  EXPECT_EQ(verify().verdict, Verdict::whole) << describe(verify());
}

TEST_F(SlotTest, VerifySeesOneThatIsNotOverTheRecordsBeforeIt) {
  {
    LogLife life = live();
    give_key(life);
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(life.append("use.permitted", "urn:a:1"));
    ASSERT_TRUE(life.writer->close());
  }
  std::vector<std::string> texts;
  Frontier tree;
  Digest root{};
  {
    const auto storage = open_log(disk);
    ASSERT_TRUE(for_each_record(*storage, 0, [&](const RecordView& record) {
      if (record.seq == 12) root = tree.root();
      tree.append(record.leaf);
      texts.emplace_back(record.text);
    }));
  }
  Digest other = root;
  other[5] ^= 1;
  std::string changed = note(12, root);
  changed[changed.size() - 12] ^= 1;
  struct Case {
    std::string slot;
    std::string link;  // empty: whole
    std::uint64_t at = 12;
  };
  const std::vector<Case> cases = {
      {"", ""},
      {note(12, root), ""},
      {note(12, other), "tree"},
      {note(11, root), "checkpoint"},
      {note(13, root), "checkpoint"},
      {note(12, root, third_seed), "checkpoint"},
      {changed, "checkpoint"},
      {"nothing", "checkpoint"},
      {note(12, root), "checkpoint", 11},
      {note(0, empty_root()), "checkpoint", 0},
      {note(12, root) + std::string(slot_most_bytes, ' '), "frame"},
  };
  for (const Case& one : cases) {
    write(texts, one.at, one.slot);
    const auto report = verify();
    ASSERT_EQ(report.verdict == Verdict::whole, one.link.empty()) << one.link << describe(report);
    if (!report.finding) continue;
    EXPECT_EQ(report.finding->link, one.link) << describe(report);
    EXPECT_EQ(report.finding->seq, one.at);
    const std::string sentence = render(report.finding->message, Lang::zh);
    EXPECT_EQ(sentence.find('{'), std::string::npos) << sentence;
  }
  // Opening the log does not look at it.
  write(texts, 12, note(12, root));
  LogLife life = live();
  ASSERT_TRUE(life.writer);
  EXPECT_EQ(life.writer->mark().size, texts.size());
}

TEST_F(SlotTest, EveryFlippedByteOfAFrameWithACheckpointIsFound) {
  limits.log_ahead_bytes = 0;
  {
    LogLife life = live();
    give_key(life);
    ASSERT_TRUE(life.append("log.heartbeat"));
    ASSERT_TRUE(life.writer->tree().checkpoint());
    ASSERT_TRUE(life.append("log.heartbeat"));
    ASSERT_TRUE(life.writer->close());
  }
  ASSERT_EQ(slots().size(), 1U);
  Files files = files_of(disk);
  Bytes& bytes = files[segment_name(0)];
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    bytes[at] ^= 4;
    put_files(disk, files);
    EXPECT_EQ(verify().verdict, Verdict::changed) << at;
    bytes[at] ^= 4;
  }
}

TEST(Slot, TheFrameIsTheOneOfTheVectors) {
  std::ifstream file(std::string(TALLY_SOURCE_DIR) + "/tests/data/audit/vectors.json");
  const Json vectors = Json::parse(file);
  FrameBuilder frame;
  frame.start(7, vectors["slot"].get<std::string>());
  frame.begin_record() += "record 7";
  frame.end_record();
  const std::string bytes(frame.finish());
  EXPECT_EQ(to_hex(as_bytes(bytes)), vectors["slot_frame_hex"].get<std::string>());
  const Frame parsed = parse_frame(as_bytes(bytes), 0);
  EXPECT_EQ(parsed.state, FrameState::valid);
  EXPECT_EQ(parsed.checkpoint, vectors["slot"].get<std::string>());
  ASSERT_EQ(parsed.records.size(), 1U);
  EXPECT_EQ(parsed.records[0].text, "record 7");
}

}  // namespace
}  // namespace tally::audit
