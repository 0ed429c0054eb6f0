#include "sources/beneath.hpp"

#include <cerrno>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/temp_dir.hpp"

namespace tally::sources {
namespace {

namespace fs = std::filesystem;

TEST(Beneath, OnlyPlainRelativePathsAreTaken) {
  for (const char* good : {"a", "a/b", "a/..b", ".a", "a b", "名字.csv"}) {
    EXPECT_TRUE(is_plain_relative(good)) << good;
  }
  for (const char* bad : {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "./a"}) {
    EXPECT_FALSE(is_plain_relative(bad)) << bad;
  }
  EXPECT_FALSE(is_plain_relative(std::string("a\0b", 3)));
}

// With the kernel's own resolution and step by step.
class BeneathBothWays : public ::testing::TestWithParam<bool> {
 protected:
  BeneathBothWays() {
    fs::create_directories(folder_ / "root/sub");
    testing::write_file(folder_ / "root/sub/file", "inside");
    testing::write_file(folder_ / "secret", "outside");
    fs::create_symlink("../secret", folder_ / "root/up");
    fs::create_symlink(folder_ / "secret", folder_ / "root/absolute");
    fs::create_directory_symlink("..", folder_ / "root/parent");
    fs::create_symlink("loop", folder_ / "root/loop");
    fs::create_symlink("sub/file", folder_ / "root/within");
    root_ = ::open((folder_ / "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  }
  ~BeneathBothWays() override { ::close(root_); }

  int try_open(const std::string& path) {
    const int fd = open_beneath(root_, path, GetParam());
    if (fd >= 0) ::close(fd);
    return fd;
  }

  testing::TempDir folder_;
  int root_ = -1;
};

TEST_P(BeneathBothWays, NothingOutsideTheFolderIsOpened) {
  EXPECT_GE(try_open("sub/file"), 0);
  for (const char* path : {"up", "absolute", "parent/secret", "loop", "../secret", "/etc/passwd"}) {
    const int fd = try_open(path);
    EXPECT_TRUE(fd == -EXDEV || fd == -ELOOP || fd == -ENOTDIR) << path << " gave " << fd;
  }
  EXPECT_EQ(try_open("absent"), -ENOENT);
  EXPECT_EQ(try_open("sub/file/more"), -ENOTDIR);
}

TEST_P(BeneathBothWays, ALinkWithinTheFolderIsFollowedByTheKernelAloneIfAtAll) {
  const int fd = try_open("within");
  if (GetParam()) {
    EXPECT_TRUE(fd >= 0 || fd == -ELOOP);  // −ELOOP: a kernel without openat2
  } else {
    EXPECT_EQ(fd, -ELOOP);
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, BeneathBothWays, ::testing::Bool());

}  // namespace
}  // namespace tally::sources
