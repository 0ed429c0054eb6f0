// The files of the log's key, left as a crash leaves them after each step of a rotation.
#include "log_key.hpp"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"

namespace tally::daemon {
namespace {

namespace fs = std::filesystem;

const std::string origin = "did:web:clinic.example/log/1";

class LogKeyFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_next_log_key(file, origin));
    fs::rename(next, file);
    before = load_log_signer(file, origin).value();
    keys = audit::LogKeys(before.key);
    after = make_next_log_key(file, origin).value();
  }
  void record() {
    const audit::KeyRotation rotation{origin, before.key, after.key, {1'800'000'000, 0}};
    const auto note = audit::sign_rotation(rotation, before.signer, after.signer);
    ASSERT_TRUE(note);
    ASSERT_TRUE(keys.rotate(9, *note));
  }
  std::string settle() {
    const auto settled = settle_log_key(file, keys);
    return settled ? std::string() : settled.error().message.code;
  }
  audit::VerifierKey current() { return load_log_signer(file, origin).value().key; }

  testing::TempDir folder;
  fs::path file = folder.path() / "key.pem";
  fs::path next = folder.path() / "key.pem.new";
  fs::path former = folder.path() / "key.pem.old";
  LogSigner before;
  LogSigner after;
  audit::LogKeys keys;
};

TEST_F(LogKeyFiles, ACrashBeforeTheRecordUndoesIt) {
  EXPECT_EQ(settle(), "");
  EXPECT_EQ(current(), before.key);
  EXPECT_FALSE(fs::exists(next));
  EXPECT_FALSE(fs::exists(former));
}

TEST_F(LogKeyFiles, ACrashAfterTheRecordIsFinished) {
  record();
  for (const bool linked : {false, true}) {
    if (linked) {
      // Between the two names.
      fs::rename(file, next);
      fs::rename(former, file);
      fs::create_hard_link(file, former);
    }
    EXPECT_EQ(settle(), "") << linked;
    EXPECT_EQ(current(), after.key) << linked;
    EXPECT_FALSE(fs::exists(next)) << linked;
    const auto still = former_log_key(file, keys);
    ASSERT_TRUE(still && *still) << linked;
    EXPECT_EQ((*still)->key, before.key) << linked;
  }
  EXPECT_EQ(settle(), "");
}

TEST_F(LogKeyFiles, OneOverlapAtATimeAndThenTheOldKeyIsGone) {
  record();
  ASSERT_TRUE(take_next_log_key(file));
  const auto second = make_next_log_key(file, origin);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message.code, "daemon.log-key-overlap");
  // Through another name, what stood in the file's place is seen to be overwritten.
  fs::create_hard_link(former, folder.path() / "seen");
  ASSERT_TRUE(erase_former_log_key(file));
  EXPECT_FALSE(fs::exists(former));
  std::ifstream in(folder.path() / "seen", std::ios::binary);
  std::ostringstream left;
  left << in.rdbuf();
  EXPECT_EQ(left.str(), std::string(left.str().size(), '\0'));
  EXPECT_FALSE(left.str().empty());
  ASSERT_TRUE(former_log_key(file, keys));
  EXPECT_FALSE(*former_log_key(file, keys));
  EXPECT_EQ(current(), after.key);
}

TEST_F(LogKeyFiles, AKeyThatTheLogDoesNotNameIsRefused) {
  fs::rename(next, file);
  EXPECT_EQ(settle(), "daemon.log-key-other");
}

}  // namespace
}  // namespace tally::daemon
