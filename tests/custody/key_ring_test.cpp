#include "tally/custody/key_ring.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tally/core/digest.hpp"

#include "support/temp_dir.hpp"

namespace tally::custody {
namespace {

class CountingRandom : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) byte = next_byte_++;
  }

 private:
  std::uint8_t next_byte_ = 1;
};

class KeyRingFile : public ::testing::Test {
 protected:
  KeyRingFile() { std::filesystem::create_directories(folder_ / "data"); }
  std::string code(const std::filesystem::path& file) {
    const auto opened = open_key_ring(file, folder_ / "data");
    return opened ? "opened" : opened.error().message.code;
  }
  testing::TempDir folder_;
  CountingRandom random_;
  const Instant made_ = Instant{} + seconds(1'700'000'000);
};

TEST_F(KeyRingFile, OneThatWasMadeIsReadBack) {
  ASSERT_TRUE(create_key_ring(folder_ / "key", random_, made_));
  auto source = open_key_ring(folder_ / "key", folder_ / "data");
  ASSERT_TRUE(source);
  const auto key = (*source)->current();
  EXPECT_EQ(key->bytes.front(), 1);
  EXPECT_EQ(key->bytes.back(), 32);
  struct stat found {};
  ASSERT_EQ(::stat((folder_ / "key").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
}

TEST_F(KeyRingFile, IsNeverMadeByReadingNorOverwritten) {
  EXPECT_EQ(code(folder_ / "absent"), "custody.key-missing");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "absent"));
  ASSERT_TRUE(create_key_ring(folder_ / "key", random_, made_));
  const std::string before = testing::read_file(folder_ / "key");
  const auto again = create_key_ring(folder_ / "key", random_, made_);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message.code, "custody.key-exists");
  EXPECT_EQ(testing::read_file(folder_ / "key"), before);
}

TEST_F(KeyRingFile, InTheDataFolderIsRefusedThroughALinkToo) {
  namespace fs = std::filesystem;
  fs::create_directories(folder_ / "data/deep");
  ASSERT_TRUE(create_key_ring(folder_ / "data/deep/key", random_, made_));
  EXPECT_EQ(code(folder_ / "data/deep/key"), "custody.key-inside-data");
  EXPECT_EQ(code(folder_ / "data/../data/deep/key"), "custody.key-inside-data");
  fs::create_symlink(folder_ / "data/deep/key", folder_ / "link");
  EXPECT_EQ(code(folder_ / "link"), "custody.key-inside-data");
  // A folder whose name merely begins alike is another folder.
  fs::create_directories(folder_ / "database");
  ASSERT_TRUE(create_key_ring(folder_ / "database/key", random_, made_));
  EXPECT_EQ(code(folder_ / "database/key"), "opened");
}

TEST_F(KeyRingFile, ThatOthersMayReadIsRefused) {
  ASSERT_TRUE(create_key_ring(folder_ / "key", random_, made_));
  for (const mode_t mode : {0640U, 0604U, 0660U, 0610U}) {
    ASSERT_EQ(::chmod((folder_ / "key").c_str(), mode), 0);
    EXPECT_EQ(code(folder_ / "key"), "custody.key-readable-by-others") << std::oct << mode;
  }
  ASSERT_EQ(::chmod((folder_ / "key").c_str(), 0400), 0);
  EXPECT_EQ(code(folder_ / "key"), "opened");
}

TEST_F(KeyRingFile, ThatIsNoneIsRefused) {
  int number = 0;
  for (const std::string text :
       {"",
        "tally-custody-key/1 ",
        "tally-custody-key/1 AAAA\n",
        "secret\n",
        "tally-custody-key/2 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "tally-custody-ring/1\n",
        "tally-custody-ring/1\nAAAA - AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"}) {
    const auto file = folder_ / ("bad" + std::to_string(++number));
    testing::write_file(file, text);
    ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
    EXPECT_EQ(code(file), "custody.key-malformed") << text;
  }
  EXPECT_EQ(code(folder_.path()), "custody.key-malformed");
}

// A ring as versions before it wrote it is one key that may be rotated like any other.
TEST_F(KeyRingFile, OfTheFirstFormatOpensAndIsRotated) {
  testing::write_file(
      folder_ / "key", "tally-custody-key/1 qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n"
  );
  ASSERT_EQ(::chmod((folder_ / "key").c_str(), 0600), 0);
  auto ring = open_key_ring(folder_ / "key", folder_ / "data").value();
  ASSERT_EQ(ring->keys().size(), 1U);
  EXPECT_FALSE(ring->keys().front().made);
  const auto first = ring->current().value();
  const auto added = ring->add(random_, made_);
  ASSERT_TRUE(added);
  EXPECT_EQ(name_of(*ring->current()), *added);
  EXPECT_EQ(ring->find(name_of(first))->bytes, first.bytes);

  const auto again = open_key_ring(folder_ / "key", folder_ / "data").value();
  ASSERT_EQ(again->keys().size(), 2U);
  EXPECT_EQ(again->keys().front().name, *added);
  EXPECT_EQ(again->keys().front().made, made_);
  EXPECT_EQ(again->find(name_of(first))->bytes, first.bytes);

  ASSERT_TRUE(ring->destroy_former());
  EXPECT_EQ(ring->find(name_of(first)).error().message.code, "custody.no-such-key");
  const auto last = open_key_ring(folder_ / "key", folder_ / "data").value();
  EXPECT_EQ(last->keys().size(), 1U);
  EXPECT_EQ(last->current()->bytes, ring->current()->bytes);
  const std::string text = testing::read_file(folder_ / "key");
  EXPECT_EQ(text.find(to_base64(first.bytes)), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "key.new"));
}

// A key that the disk changed is no other key: it is found when the ring is opened.
TEST_F(KeyRingFile, WithAFlippedBitIsRefused) {
  ASSERT_TRUE(create_key_ring(folder_ / "key", random_, made_));
  std::string text = testing::read_file(folder_ / "key");
  auto& changed = text[text.size() - 5];
  changed = changed == 'A' ? 'B' : 'A';
  testing::write_file(folder_ / "key", text);
  EXPECT_EQ(code(folder_ / "key"), "custody.key-malformed");
}

TEST_F(KeyRingFile, IsReplacedBehindALinkToo) {
  ASSERT_TRUE(create_key_ring(folder_ / "key", random_, made_));
  std::filesystem::create_symlink(folder_ / "key", folder_ / "link");
  auto ring = open_key_ring(folder_ / "link", folder_ / "data").value();
  const auto added = ring->add(random_, made_).value();
  EXPECT_TRUE(std::filesystem::is_symlink(folder_ / "link"));
  EXPECT_EQ(name_of(*open_key_ring(folder_ / "key", folder_ / "data").value()->current()), added);
}

// What a crash in the middle left beside it is of no use to anybody.
TEST_F(KeyRingFile, WhatLiesBesideItIsOverwrittenAndRemoved) {
  ASSERT_TRUE(create_key_ring(folder_ / "key", random_, made_));
  testing::write_file(folder_ / "key.new", "the next ring, or the one before");
  auto ring = open_key_ring(folder_ / "key", folder_ / "data").value();
  EXPECT_TRUE(std::filesystem::exists(folder_ / "key.new"));  // who only looks changes nothing
  ASSERT_TRUE(ring->settle());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "key.new"));
}

// A storage whose next replacement fails, before or after it happened: nobody can know.
class FailingStorage final : public RingStorage {
 public:
  explicit FailingStorage(std::string& text) : text_(text) {}
  [[nodiscard]] std::string place() const override { return "ring"; }
  Result<std::string> read() override { return text_; }
  Result<void> replace(std::string_view text) override {
    if (fails != 1) text_ = text;
    if (fails == 0) return {};
    return fail(ErrorKind::unavailable, {"custody.file-failed", {}});
  }
  Result<void> settle() override { return {}; }
  int fails = 0;  // 1: before, 2: after

 private:
  std::string& text_;
};

TEST(KeyRing, KeepsEveryKeyThatIsInUseWhereverAReplacementFails) {
  for (const int fails : {1, 2}) {
    CountingRandom random;
    std::string text = "tally-custody-key/1 qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n";
    auto storage = std::make_unique<FailingStorage>(text);
    auto& failing = *storage;
    auto ring = KeyRing::open(std::move(storage)).value();
    const auto first = ring->current().value();
    failing.fails = fails;
    EXPECT_FALSE(ring->add(random, Instant{}));
    EXPECT_EQ(ring->current()->bytes, first.bytes) << "nobody may use a key that may be lost";
    auto reopened = KeyRing::open(std::make_unique<FailingStorage>(text)).value();
    EXPECT_TRUE(reopened->find(name_of(first)));

    failing.fails = 0;
    ASSERT_TRUE(ring->add(random, Instant{}));
    failing.fails = fails;
    EXPECT_FALSE(ring->destroy_former());
    EXPECT_TRUE(ring->find(name_of(first))) << "it is tried again";
    failing.fails = 0;
    ASSERT_TRUE(ring->destroy_former());
    reopened = KeyRing::open(std::make_unique<FailingStorage>(text)).value();
    EXPECT_FALSE(reopened->find(name_of(first)));
    EXPECT_EQ(reopened->current()->bytes, ring->current()->bytes);
  }
}

}  // namespace
}  // namespace tally::custody
