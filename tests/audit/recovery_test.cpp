#include "tally/audit/recovery.hpp"

#include <map>

#include "audit/log_format.hpp"
#include "log_fixture.hpp"

namespace tally::audit {
namespace {

class RecoveryTest : public LogTest {
 protected:
  // The end of the last frame and the name of the last segment.
  std::pair<std::string, std::uint64_t> end_of_log() {
    const auto files = files_of(disk);
    std::string last;
    for (const auto& [name, bytes] : files) {
      if (segment_first_seq(name)) last = name;
    }
    const Bytes& bytes = files.at(last);
    std::uint64_t offset = 0;
    for (;;) {
      const Frame frame = parse_frame(std::span(bytes).subspan(offset), offset);
      if (frame.state != FrameState::valid) return {last, offset};
      offset += frame.length;
    }
  }
  std::vector<std::uint64_t> frame_offsets(const Bytes& bytes) {
    std::vector<std::uint64_t> offsets;
    std::uint64_t offset = 0;
    for (;;) {
      const Frame frame = parse_frame(std::span(bytes).subspan(offset), offset);
      if (frame.state != FrameState::valid) return offsets;
      offsets.push_back(offset);
      offset += frame.length;
    }
  }
  std::string code_of(const LogLife& life) {
    return life.error ? life.error->message.code : std::string("opened");
  }
};

TEST_F(RecoveryTest, ReadsEveryRecordAndContinues) {
  fill(200);
  std::vector<std::uint64_t> seqs;
  const auto each = [&seqs](const RecordView& record) { seqs.push_back(record.seq); };
  LogLife life(disk, clock, limits, {}, each);
  ASSERT_TRUE(life.writer);
  EXPECT_FALSE(life.torn);
  ASSERT_EQ(seqs.size(), 200U);
  for (std::uint64_t i = 0; i < 200; ++i) EXPECT_EQ(seqs[i], i);
  EXPECT_EQ(life.append("log.heartbeat")->seq, 200U);
}

TEST_F(RecoveryTest, AFolderHoldsOneLogOnly) {
  create();
  const auto storage = open_log(disk);
  const auto again = create_log(*storage, test_genesis(), clock, random);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message.code, "audit.log-exists");
}

// A cut at every byte of the last frames: at a frame boundary the log is simply shorter, inside a
// frame its torn end is cut and recorded, below the mark it is refused.
TEST_F(RecoveryTest, ACutAnywhereIsCutAtTheFrameOrRefusedBelowTheMark) {
  limits.log_ahead_bytes = 0;
  fill(40, false);
  const auto files = files_of(disk);
  const auto [segment, end] = end_of_log();
  const auto offsets = frame_offsets(files.at(segment));
  ASSERT_GT(offsets.size(), 4U);
  const std::uint64_t from = offsets[offsets.size() - 3];
  for (std::uint64_t cut = from; cut <= end; ++cut) {
    // Every byte around the boundaries and the header, then some of those between.
    const auto frame = std::upper_bound(offsets.begin(), offsets.end(), cut) - 1;
    const bool near_edge = cut - *frame <= 40 || end - cut <= 16;
    if (!long_tests() && !near_edge && cut % 29 != 0) continue;
    auto changed = files;
    changed[segment].resize(cut);
    put_files(disk, changed);
    const bool at_boundary =
        cut == end || std::find(offsets.begin(), offsets.end(), cut) != offsets.end();
    {
      const auto report = verify();
      EXPECT_EQ(report.verdict, at_boundary ? Verdict::whole : Verdict::incomplete) << cut;
    }
    {
      LogLife life = live();
      ASSERT_TRUE(life.writer) << cut << code_of(life);
      EXPECT_EQ(life.torn.has_value(), !at_boundary) << cut;
      EXPECT_EQ(life.writer->commit_batch(), !at_boundary);
      if (life.torn) {
        EXPECT_EQ(life.torn->offset, *frame);
      }
      ASSERT_TRUE(life.append("log.heartbeat"));
      ASSERT_TRUE(life.writer->close());
    }
    EXPECT_EQ(verify().verdict, Verdict::whole) << cut << describe(verify());
  }

  // The same cuts, when the store knows that all was durable.
  put_files(disk, files);
  LogMark mark;
  {
    LogLife life = live();
    mark = life.writer->mark();
  }
  for (std::uint64_t cut = from; cut < end; cut += long_tests() ? 1 : 37) {
    auto changed = files;
    changed[segment].resize(cut);
    put_files(disk, changed);
    LogLife life = live(mark);
    ASSERT_TRUE(life.error) << cut;
    EXPECT_EQ(life.error->kind, ErrorKind::conflict);
    EXPECT_TRUE(code_of(life) == "audit.log-refused" || code_of(life) == "audit.log-short");
    EXPECT_EQ(files_of(disk), changed) << "nothing may be touched";
  }
}

TEST_F(RecoveryTest, DamageInFrontOfAValidFrameIsNeverCut) {
  fill(60, false);
  const auto files = files_of(disk);
  const auto found = layout();
  for (const std::size_t seq : {0U, 1U, 20U, 45U}) {
    auto changed = files;
    const auto& record = found.records[seq];
    changed[record.file][record.offset + record.bytes / 2] ^= 1;
    put_files(disk, changed);
    LogLife life = live();
    EXPECT_EQ(code_of(life), "audit.log-refused") << seq;
    EXPECT_EQ(files_of(disk), changed);
  }
}

TEST_F(RecoveryTest, AnotherRecordAtTheMarkIsRefused) {
  fill(30);
  LogMark mark{20, std::string(64, 'a')};
  {
    LogLife other = live(mark);
    EXPECT_EQ(code_of(other), "audit.log-other");
  }
  const auto found = layout();
  const auto files = files_of(disk);
  const Bytes& bytes = files.at(found.records[19].file);
  const std::string text(
      bytes.begin() + static_cast<std::ptrdiff_t>(found.records[19].offset),
      bytes.begin() +
          static_cast<std::ptrdiff_t>(found.records[19].offset + found.records[19].bytes)
  );
  mark.leaf = to_hex(leaf_hash(text));
  LogLife right = live(mark);
  EXPECT_TRUE(right.writer);
}

TEST_F(RecoveryTest, NonZeroBytesFarBehindTheEndAreRefused) {
  fill(30, false);
  const auto [segment, end] = end_of_log();
  auto files = files_of(disk);
  files[segment].resize(end + frame_most_bytes + 100);
  files[segment].back() = 1;
  put_files(disk, files);
  LogLife life = live();
  EXPECT_EQ(code_of(life), "audit.log-refused");
  EXPECT_EQ(verify().verdict, Verdict::changed);
}

TEST_F(RecoveryTest, AMissingSegmentAndADamagedHeadAreRefused) {
  fill(500);
  const auto files = files_of(disk);
  ASSERT_GE(files.size(), 4U);
  std::vector<std::string> segments;
  for (const auto& [name, bytes] : files) {
    if (segment_first_seq(name)) segments.push_back(name);
  }
  for (const std::string& name : segments) {
    auto changed = files;
    changed.erase(name);
    put_files(disk, changed);
    LogLife life = live();
    EXPECT_TRUE(life.error) << name;
    EXPECT_EQ(verify().verdict, Verdict::changed) << name;
  }
  auto changed = files;
  changed["head"][3] ^= 1;
  put_files(disk, changed);
  LogLife life = live();
  EXPECT_EQ(code_of(life), "audit.log-refused");
}

// A failed sync leaves pages that look clean: the next life must not count what only they hold.
TEST_F(RecoveryTest, WhatAFailedSyncLeftInTheCacheDoesNotCount) {
  create();
  {
    LogLife life = live();
    ASSERT_TRUE(life.append("use.permitted", "urn:a:1"));
    disk.fail_sync(1);
    EXPECT_FALSE(life.append("use.permitted", "urn:a:1"));
    disk.mend();
  }
  LogLife again = live();
  ASSERT_TRUE(again.writer) << code_of(again);
  EXPECT_EQ(again.writer->mark().size, 2U);
  disk.cut_power();
}

struct Shadow {
  std::map<std::uint64_t, Digest> acknowledged;
};

// Power cuts under load, many lives in a row: nothing acknowledged is ever missing, and the chain
// holds. Gives what went wrong, or an empty text.
std::string power_cuts(std::uint64_t seed, bool lying, int lives) {
  sim::World world(seed);
  sim::SimDisk disk(world);
  sim::Chance& chance = world.chance();
  ManualClock clock;
  CountingRandom random;
  Limits limits = small_limits();
  {
    const auto storage = open_log(disk);
    if (!create_log(*storage, test_genesis(), clock, random)) return "create";
  }
  std::map<std::uint64_t, Digest> acknowledged;
  for (int life_number = 0; life_number < lives; ++life_number) {
    std::map<std::uint64_t, Digest> present;
    const auto each = [&present](const RecordView& record) { present[record.seq] = record.leaf; };
    LogLife life(disk, clock, limits, {}, each, lying);
    if (!life.writer) return "refused: " + render(life.error->message, Lang::en);
    for (const auto& [seq, leaf] : acknowledged) {
      const auto found = present.find(seq);
      if (found == present.end()) return "lost record " + std::to_string(seq);
      if (found->second != leaf) return "changed record " + std::to_string(seq);
    }
    const std::uint64_t batches = chance.below(12);
    if (chance.happens(0.2)) disk.fail_sync(1 + chance.below(20));
    if (chance.happens(0.2)) disk.fail_write(1 + chance.below(20));
    for (std::uint64_t b = 0; b < batches && !life.writer->failed(); ++b) {
      clock.at = clock.at + milliseconds(10);
      std::vector<Ticket> tickets;
      const std::uint64_t records = 1 + chance.below(30);
      for (std::uint64_t i = 0; i < records; ++i) {
        tickets.push_back(life.enqueue("use.permitted", "urn:a:" + std::to_string(chance.below(4)))
        );
      }
      if (chance.happens(0.1)) break;  // queued, never committed
      life.writer->commit_batch();
      for (Ticket& ticket : tickets) {
        const auto appended = life.wait(std::move(ticket));
        if (appended) acknowledged[appended->seq] = appended->leaf;
      }
      if (chance.happens(0.3)) life.writer->fill_ahead();
    }
    const bool clean = chance.happens(0.2);
    if (clean) (void)life.writer->close();
    // A frame that was written and not synced when the power went.
    if (!clean && !life.writer->failed() && chance.happens(0.7)) {
      for (std::uint64_t i = 0; i < 1 + chance.below(80); ++i) {
        life.enqueue("use.permitted", "urn:a:1");
      }
      disk.fail_sync(1);
      life.writer->commit_batch();
    }
    disk.mend();
    if (chance.happens(0.8)) {
      disk.cut_power();
      disk.power_on();
    }
  }
  const auto storage = open_log(disk);
  const auto recovered = recover(*storage, {});
  if (!recovered) return "refused at the end: " + render(recovered.error().message, Lang::en);
  const LogTree tree(*storage, *recovered);  // what the cuts did to its side files is repaired
  const auto report = verify_log(*storage);
  if (report.verdict != Verdict::whole) return describe(report);
  return {};
}

TEST(LogPowerCuts, NothingAcknowledgedIsEverLost) {
  const std::uint64_t seeds = long_tests() ? 3000 : 60;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    EXPECT_EQ(power_cuts(seed, false, 8), "") << "seed " << seed;
  }
}

// The check of the check: on a disk that only says it synced, the same test must fail.
TEST(LogPowerCuts, AnAcknowledgementBeforeTheSyncIsNoticed) {
  int noticed = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    if (!power_cuts(seed, true, 8).empty()) ++noticed;
  }
  EXPECT_GE(noticed, 15);
}

}  // namespace
}  // namespace tally::audit
