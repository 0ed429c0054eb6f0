#include "tally/audit/log_tail.hpp"

#include <vector>

#include "log_fixture.hpp"

namespace tally::audit {
namespace {

class LogTailTest : public LogTest {
 protected:
  // The numbers of what one call hands out.
  static std::vector<std::uint64_t> read(LogTail& tail, std::uint64_t end, std::size_t most) {
    std::vector<std::uint64_t> all;
    const auto done = tail.read(end, most, [&](const RecordView& one) { all.push_back(one.seq); });
    EXPECT_TRUE(done);
    return all;
  }
};

TEST_F(LogTailTest, GivesEachRecordOnceInWhateverPieces) {
  constexpr std::uint64_t records = 400;  // several segments
  fill(records);
  for (const std::uint64_t from : {0U, 1U, 2U, 137U, 399U}) {
    for (const std::size_t most : {1U, 7U, 256U, 1000U}) {
      LogTail tail(open_log(disk), from);
      std::uint64_t wanted = from;
      for (;;) {
        const auto got = read(tail, records, most);
        if (got.empty()) break;
        EXPECT_LE(got.size(), most);
        for (const auto seq : got) ASSERT_EQ(seq, wanted++) << from << " " << most;
      }
      EXPECT_EQ(wanted, records) << from << " " << most;
    }
  }
}

// What is in the file and not durable yet is not told.
TEST_F(LogTailTest, StopsWhereTheLogIsDurable) {
  fill(50);
  LogTail tail(open_log(disk), 40);
  EXPECT_EQ(read(tail, 43, 100), (std::vector<std::uint64_t>{40, 41, 42}));
  EXPECT_TRUE(read(tail, 43, 100).empty());
  EXPECT_EQ(read(tail, 45, 100), (std::vector<std::uint64_t>{43, 44}));
}

TEST_F(LogTailTest, FollowsARunningWriter) {
  create();
  LogLife life = live();
  LogTail tail(open_log(disk), 0);
  std::uint64_t next = 0;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(life.append("use.permitted", "urn:a:1"));
    const auto end = life.writer->mark().size;
    for (const auto seq : read(tail, end, 100)) ASSERT_EQ(seq, next++);
    ASSERT_EQ(next, end);
  }
}

TEST_F(LogTailTest, SaysWhenADurableRecordIsNotThere) {
  fill(50);
  LogTail tail(open_log(disk), 0);
  std::uint64_t given = 0;
  const auto done = tail.read(60, 100, [&](const RecordView&) { ++given; });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message.code, "audit.tail-unreadable");
  EXPECT_EQ(done.error().message.params.at("seq"), "50");
  EXPECT_EQ(given, 50U);
}

}  // namespace
}  // namespace tally::audit
