#include "tally/audit/log_copy.hpp"

#include <set>

#include <gtest/gtest.h>

#include "tally/audit/verify.hpp"

#include "audit/known_keys.hpp"
#include "audit/log_fixture.hpp"
#include "log_format.hpp"

namespace tally::audit {
namespace {

class LogCopyTest : public LogTest {
 protected:
  const VerifierKey key = key_of("clinic.example/log/1", log_seed);

  void SetUp() override {
    Genesis genesis = test_genesis();
    genesis.vkey = key.text();
    ASSERT_TRUE(create_log(*open_log(disk), genesis, clock, random));
  }

  // A copy as of `at`, with the log of its own that it is.
  static Result<VerifyReport> copied(
      sim::SimDisk& from, sim::SimDisk& to, const std::optional<LogMark>& at
  ) {
    const auto source = open_log(from);
    const auto target = open_log(to);
    if (auto done = copy_log(*source, *target, at); !done) return fail(std::move(done));
    return verify_log(*target);
  }
};

TEST_F(LogCopyTest, EndsWithTheRecordsOfItsMomentWhereverThatIs) {
  LogLife life = live();
  ASSERT_TRUE(life.writer);
  life.writer->tree().sign_with(key, signer_of(log_seed));
  std::vector<LogMark> moments = {life.writer->mark()};
  std::set<std::uint64_t> segments;
  while (segments.size() < 3) {
    for (int i = 0; i < 90; ++i) ASSERT_TRUE(life.append("use.permitted", "a"));
    moments.push_back(life.writer->mark());
    segments.insert(life.writer->segment());
  }
  // The head file knows all of it, and what was told to others.
  ASSERT_TRUE(life.writer->close());
  for (const LogMark& at : moments) {
    sim::SimDisk other(world);
    const auto report = copied(disk, other, at);
    ASSERT_TRUE(report) << at.size;
    EXPECT_EQ(report->size(), at.size);
    EXPECT_EQ(report->leaf, at.leaf);
    EXPECT_EQ(report->verdict, Verdict::whole)
        << at.size << (report->finding ? render(report->finding->message, Lang::en) : "");
    // A connector goes on with it, and only with what stood there.
    LogLife next(other, clock, limits, at);
    ASSERT_TRUE(next.writer) << at.size << render(next.error->message, Lang::en);
    EXPECT_FALSE(next.torn);
    EXPECT_EQ(next.writer->mark(), at);
    ASSERT_TRUE(next.append("use.permitted", "a"));
  }
}

TEST_F(LogCopyTest, WithoutAMomentItIsTheWholeLogWithItsHead) {
  LogLife life = live();
  ASSERT_TRUE(life.writer);
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(life.append("use.permitted", "a"));
  const LogMark all = life.writer->mark();
  ASSERT_TRUE(life.writer->close());
  sim::SimDisk other(world);
  const auto report = copied(disk, other, std::nullopt);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->size(), all.size);
  EXPECT_TRUE(open_log(other)->read_small(head_file)->has_value());
}

TEST_F(LogCopyTest, RecordsThatAreNotThereAreNotCopied) {
  LogLife life = live();
  ASSERT_TRUE(life.writer);
  ASSERT_TRUE(life.append("use.permitted", "a"));
  LogMark beyond = life.writer->mark();
  ++beyond.size;
  sim::SimDisk other(world);
  const auto report = copied(disk, other, beyond);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().message.code, "audit.copy-short");
}

}  // namespace
}  // namespace tally::audit
