#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tally/custody/key_source.hpp"

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

class KeyFile : public ::testing::Test {
 protected:
  KeyFile() { std::filesystem::create_directories(folder_ / "data"); }
  std::string code(const std::filesystem::path& file) {
    const auto opened = open_key_file(file, folder_ / "data");
    return opened ? "opened" : opened.error().message.code;
  }
  testing::TempDir folder_;
  CountingRandom random_;
};

TEST_F(KeyFile, OneThatWasMadeIsReadBack) {
  ASSERT_TRUE(create_key_file(folder_ / "key", random_));
  auto source = open_key_file(folder_ / "key", folder_ / "data");
  ASSERT_TRUE(source);
  const auto key = (*source)->wrapping_key();
  EXPECT_EQ(key->bytes.front(), 1);
  EXPECT_EQ(key->bytes.back(), 32);
  struct stat found {};
  ASSERT_EQ(::stat((folder_ / "key").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
}

TEST_F(KeyFile, IsNeverMadeByReadingNorOverwritten) {
  EXPECT_EQ(code(folder_ / "absent"), "custody.key-missing");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "absent"));
  ASSERT_TRUE(create_key_file(folder_ / "key", random_));
  const std::string before = testing::read_file(folder_ / "key");
  const auto again = create_key_file(folder_ / "key", random_);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message.code, "custody.key-exists");
  EXPECT_EQ(testing::read_file(folder_ / "key"), before);
}

TEST_F(KeyFile, InTheDataFolderIsRefusedThroughALinkToo) {
  namespace fs = std::filesystem;
  fs::create_directories(folder_ / "data/deep");
  ASSERT_TRUE(create_key_file(folder_ / "data/deep/key", random_));
  EXPECT_EQ(code(folder_ / "data/deep/key"), "custody.key-inside-data");
  EXPECT_EQ(code(folder_ / "data/../data/deep/key"), "custody.key-inside-data");
  fs::create_symlink(folder_ / "data/deep/key", folder_ / "link");
  EXPECT_EQ(code(folder_ / "link"), "custody.key-inside-data");
  // A folder whose name merely begins alike is another folder.
  fs::create_directories(folder_ / "database");
  ASSERT_TRUE(create_key_file(folder_ / "database/key", random_));
  EXPECT_EQ(code(folder_ / "database/key"), "opened");
}

TEST_F(KeyFile, ThatOthersMayReadIsRefused) {
  ASSERT_TRUE(create_key_file(folder_ / "key", random_));
  for (const mode_t mode : {0640U, 0604U, 0660U, 0610U}) {
    ASSERT_EQ(::chmod((folder_ / "key").c_str(), mode), 0);
    EXPECT_EQ(code(folder_ / "key"), "custody.key-readable-by-others") << std::oct << mode;
  }
  ASSERT_EQ(::chmod((folder_ / "key").c_str(), 0400), 0);
  EXPECT_EQ(code(folder_ / "key"), "opened");
}

TEST_F(KeyFile, ThatIsNoneIsRefused) {
  int number = 0;
  for (const std::string text :
       {"",
        "tally-custody-key/1 ",
        "tally-custody-key/1 AAAA\n",
        "secret\n",
        "tally-custody-key/2 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"}) {
    const auto file = folder_ / ("bad" + std::to_string(++number));
    testing::write_file(file, text);
    ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
    EXPECT_EQ(code(file), "custody.key-malformed") << text;
  }
  EXPECT_EQ(code(folder_.path()), "custody.key-malformed");
}

}  // namespace
}  // namespace tally::custody
