// A verification with the thread that reads and hashes ahead of it. That every changed byte is
// found the same way is shown by verify_test.cpp, which has a helper too.
#include "frames_ahead.hpp"

#include <atomic>
#include <fstream>

#include "tally/audit/posix.hpp"

#include "audit/log_fixture.hpp"
#include "segment_reader.hpp"
#include "support/temp_dir.hpp"

namespace tally::audit {
namespace {

// A log of several segments, each of several megabytes.
class FramesAheadTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t size = 8'001;

  void SetUp() override {
    auto storage = open_log_folder(dir.path(), FolderAccess::writable);
    ASSERT_TRUE(storage);
    ManualClock clock;
    CountingRandom random;
    ASSERT_TRUE(create_log(**storage, test_genesis(), clock, random));
    auto recovered = recover(**storage, {});
    ASSERT_TRUE(recovered);
    Limits limits = small_limits();
    limits.log_segment_bytes = 3 << 20;
    LogWriter writer(**storage, *std::move(recovered), clock, random, limits);
    const std::string filling(1'000, 'x');
    while (writer.mark().size < size) {
      for (int i = 0; i < 50; ++i) {
        RecordDraft draft("log.heartbeat", new_event(random, clock.at));
        writer.enqueue(std::move(draft.set("note", filling)));
      }
      ASSERT_TRUE(writer.commit_batch());
    }
    ASSERT_TRUE(writer.close());
  }
  VerifyReport verify(Helper* with) {
    const auto storage = open_log_folder(dir.path(), FolderAccess::read_only);
    return verify_log(**storage, Depth::plain, with);
  }

  testing::TempDir dir;
  HelperThread helper;
};

TEST_F(FramesAheadTest, AThreadFindsWhatIsFoundWithoutIt) {
  const VerifyReport whole = verify(&helper);
  EXPECT_EQ(whole.verdict, Verdict::whole) << describe(whole);
  EXPECT_EQ(whole.records, size);
  EXPECT_EQ(whole.root, verify(nullptr).root);

  const auto segments = list_segments(**open_log_folder(dir.path(), FolderAccess::read_only));
  ASSERT_TRUE(segments);
  ASSERT_GT(segments->size(), 2U);
  for (const SegmentName& segment : *segments) {
    std::fstream file(dir.path() / segment.name, std::ios::in | std::ios::out | std::ios::binary);
    // The last one ends before a megabyte is full.
    const bool last = segment.name == segments->back().name;
    for (const std::streamoff at : {500, last ? 1'000 : 1'048'570, last ? 1'500 : 1'500'000}) {
      file.seekg(at);
      const auto before = static_cast<char>(file.get());
      file.seekp(at).put(static_cast<char>(before ^ 1)).flush();
      const VerifyReport alone = verify(nullptr);
      const VerifyReport helped = verify(&helper);
      ASSERT_TRUE(alone.finding && helped.finding) << segment.name << " " << at;
      EXPECT_EQ(helped.verdict, Verdict::changed);
      EXPECT_EQ(helped.finding->seq, alone.finding->seq);
      EXPECT_EQ(helped.finding->offset, alone.finding->offset);
      EXPECT_EQ(helped.finding->message, alone.finding->message);
      EXPECT_EQ(helped.records, alone.records);
      file.seekp(at).put(before).flush();
    }
  }
  EXPECT_EQ(verify(&helper).verdict, Verdict::whole);
}

TEST(HelperThread, DoesWhatItIsGivenBeforeItIsWaitedForOrGoes) {
  std::atomic<int> done = 0;
  {
    HelperThread helper;
    helper.wait();  // nothing was begun
    for (int i = 0; i < 1'000; ++i) {
      helper.begin([&done] { ++done; });
      helper.wait();
      ASSERT_EQ(done, i + 1);
    }
    helper.begin([&done] { ++done; });
  }
  EXPECT_EQ(done, 1'001);
}

}  // namespace
}  // namespace tally::audit
