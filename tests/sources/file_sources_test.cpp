#include "tally/sources/file_sources.hpp"

#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "tally/dataplane/stream.hpp"

#include "support/run.hpp"
#include "support/temp_dir.hpp"

namespace tally::sources {
namespace {

using dataplane::Source;

class FileSourcesTest : public ::testing::Test {
 protected:
  FileSourcesTest() { open(milliseconds(100)); }

  void open(Nanos recheck) {
    FileSources::Options options;
    options.root = folder_.path();
    options.recheck = recheck;
    options.cache_bytes = 100 << 10;
    auto opened = FileSources::open(std::move(options), worker_);
    ASSERT_TRUE(opened);
    sources_ = std::move(*opened);
  }

  std::unique_ptr<Source> source(const std::string& path) {
    auto made = sources_->source(Json{{"type", "file"}, {"path", path}});
    EXPECT_TRUE(made);
    return std::move(*made);
  }

  static std::string pattern(std::size_t size, char seed) {
    std::string text(size, seed);
    for (std::size_t i = 0; i < size; ++i)
      text[i] = static_cast<char>(seed + static_cast<char>(i * 31 % 7));
    return text;
  }

  static Result<std::string> drain(BodyReader& reader, std::size_t piece = 128 << 10) {
    std::string text;
    std::vector<std::uint8_t> buffer(piece);
    while (true) {
      const auto n = testing::run(reader.read(buffer));
      if (!n) return tl::unexpected(n.error());
      if (*n == 0) return text;
      text.append(reinterpret_cast<const char*>(buffer.data()), *n);
    }
  }

  static Result<std::string> read_all(Source& source) {
    const auto identity = testing::run(source.identify());
    if (!identity) return tl::unexpected(identity.error());
    auto reader = testing::run(source.open(0, std::nullopt));
    if (!reader) return tl::unexpected(reader.error());
    return drain(**reader);
  }

  testing::TempDir folder_;
  testing::InlineWorker worker_;
  std::unique_ptr<FileSources> sources_;
};

TEST_F(FileSourcesTest, ASpecThatIsNotOneIsRefusedWithItsPlace) {
  struct Case {
    Json spec;
    const char* code;
    const char* pointer;
  };
  const Case cases[] = {
      {{{"type", "ftp"}, {"path", "a"}}, "sources.unknown-type", "/type"},
      {{{"type", "file"}, {"path", "../a"}}, "sources.bad-path", "/path"},
      {{{"type", "file"}, {"path", "/etc/passwd"}}, "sources.bad-path", "/path"},
      {{{"type", "file"}, {"path", ""}}, "sources.bad-path", "/path"},
      {{{"type", "file"}, {"path", "a"}, {"pth", "b"}}, "sources.unknown-member", "/pth"},
      {{{"type", "file"}}, "core.member-missing", "/path"},
      {{{"type", "file"}, {"path", 7}}, "core.member-type", "/path"},
      {{{"path", "a"}}, "core.member-missing", "/type"},
  };
  for (const Case& one : cases) {
    const auto made = sources_->source(one.spec);
    ASSERT_FALSE(made) << one.spec;
    EXPECT_EQ(made.error().message.code, one.code) << one.spec;
    EXPECT_EQ(made.error().pointer, one.pointer) << one.spec;
    EXPECT_EQ(made.error().kind, ErrorKind::invalid);
  }
  EXPECT_FALSE(sources_->source(Json("text")));
}

TEST_F(FileSourcesTest, SmallAndLargeFilesAreReadWholeAndInParts) {
  for (const std::size_t size : {0U, 1U, 1024U, 65536U, 65537U, 500'000U}) {
    const std::string name = "f" + std::to_string(size);
    const std::string text = pattern(size, 'a');
    testing::write_file(folder_ / name, text);
    const auto file = source(name);
    EXPECT_EQ(read_all(*file), text);
    const auto identity = testing::run(file->identify());
    EXPECT_EQ(identity->length, size);
    if (size < 10) continue;
    auto part = testing::run(file->open(size / 3, size / 2));
    ASSERT_TRUE(part);
    EXPECT_EQ(drain(**part, 1000), text.substr(size / 3, size / 2));
    EXPECT_FALSE(testing::run(file->open(size / 2, size)));  // beyond the end
  }
}

TEST_F(FileSourcesTest, WhatIsNoRegularFileBelowTheRootIsRefused) {
  namespace fs = std::filesystem;
  testing::TempDir elsewhere;
  testing::write_file(elsewhere / "secret", "secret");
  fs::create_directory(folder_ / "dir");
  fs::create_symlink(elsewhere / "secret", folder_ / "link");
  fs::create_directory_symlink(elsewhere.path(), folder_ / "away");
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  const auto refused = [&](const char* path) {
    const auto file = source(path);
    const auto identity = testing::run(file->identify());
    return identity ? std::string("read") : identity.error().message.code;
  };
  EXPECT_EQ(refused("dir"), "sources.not-a-file");
  EXPECT_EQ(refused("pipe"), "sources.not-a-file");  // and without waiting for a writer
  EXPECT_EQ(refused("link"), "sources.outside-root");
  EXPECT_NE(refused("away/secret"), "read");
  EXPECT_EQ(refused("absent"), "sources.missing");
}

TEST_F(FileSourcesTest, ASmallFileCostsNoWorkerWhileItIsFresh) {
  open(seconds(60));
  testing::write_file(folder_ / "small", "content");
  const auto first = source("small");
  EXPECT_FALSE(first->small());  // nobody looked yet
  ASSERT_TRUE(testing::run(first->identify()));
  const int jobs = worker_.jobs;
  for (int i = 0; i < 10; ++i) {
    const auto again = source("small");
    const auto content = again->small();
    ASSERT_TRUE(content);
    EXPECT_EQ(content->bytes, "content");
    EXPECT_EQ(content->content, digest_text(sha256("content")));
    EXPECT_EQ(content->etag, dataplane::etag_of(content->identity));
    EXPECT_EQ(read_all(*again), "content");
  }
  EXPECT_EQ(worker_.jobs, jobs);
}

TEST_F(FileSourcesTest, AChangedSmallFileIsSeenOnTheNextLookEvenWithinOneTick) {
  open(-1);  // look each time
  const auto file = source("small");
  std::string before;
  for (int i = 0; i < 200; ++i) {
    const std::string text = "version " + std::to_string(100 + i);  // the same length each time
    testing::write_file(folder_ / "small", text);
    const auto identity = testing::run(file->identify());
    ASSERT_TRUE(identity);
    EXPECT_NE(identity->text, before);
    before = identity->text;
    EXPECT_EQ(read_all(*file), text);
  }
}

TEST_F(FileSourcesTest, ASettledSmallFileIsNotReadAgain) {
  open(-1);
  testing::write_file(folder_ / "small", "content");
  std::this_thread::sleep_for(std::chrono::milliseconds(80));
  const auto file = source("small");
  const auto first = testing::run(file->identify());
  const auto second = testing::run(file->identify());
  EXPECT_EQ(*first, *second);
  ASSERT_EQ(::unlink((folder_ / "small").c_str()), 0);
  EXPECT_FALSE(testing::run(file->identify()));
}

TEST_F(FileSourcesTest, TheCacheForgetsWhatWasUsedLongestAgo) {
  open(seconds(60));
  for (const char* name : {"a", "b", "c"})
    testing::write_file(folder_ / name, pattern(40 << 10, 'x'));
  for (const char* name : {"a", "b", "c"}) {
    const auto file = source(name);
    ASSERT_TRUE(testing::run(file->identify()));
  }
  EXPECT_FALSE(source("a")->small());  // 3 · 40 KiB is more than the 100 KiB of this test
  EXPECT_TRUE(source("b")->small());
  EXPECT_TRUE(source("c")->small());
}

TEST_F(FileSourcesTest, ALargeFileThatChangesCutsItsStream) {
  const std::string text = pattern(400'000, 'a');
  const auto begin = [&](Source& file) {
    testing::write_file(folder_ / "large", text);
    EXPECT_TRUE(testing::run(file.identify()));
    auto reader = testing::run(file.open(0, std::nullopt));
    EXPECT_TRUE(reader);
    std::vector<std::uint8_t> piece(100'000);
    EXPECT_EQ(testing::run((*reader)->read(piece)), std::size_t{100'000});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return std::move(*reader);
  };
  const auto code_of_rest = [&](BodyReader& reader) {
    const auto rest = drain(reader);
    return rest ? std::string("read") : rest.error().message.code;
  };
  const auto file = source("large");
  auto overwritten = begin(*file);
  testing::write_file(folder_ / "large", pattern(400'000, 'b'));
  EXPECT_EQ(code_of_rest(*overwritten), "sources.changed");

  auto truncated = begin(*file);
  ASSERT_EQ(::truncate((folder_ / "large").c_str(), 150'000), 0);
  EXPECT_EQ(code_of_rest(*truncated), "sources.changed");

  auto removed = begin(*file);
  ASSERT_EQ(::unlink((folder_ / "large").c_str()), 0);
  EXPECT_EQ(code_of_rest(*removed), "sources.changed");

  auto replaced = begin(*file);
  testing::write_file(folder_ / "other", text);
  std::filesystem::rename(folder_ / "other", folder_ / "large");
  EXPECT_EQ(code_of_rest(*replaced), "sources.changed");
}

TEST_F(FileSourcesTest, ALargeFileThatChangedSinceItWasIdentifiedIsNotOpened) {
  testing::write_file(folder_ / "large", pattern(400'000, 'a'));
  const auto file = source("large");
  const auto before = testing::run(file->identify());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  testing::write_file(folder_ / "large", pattern(400'000, 'b'));
  const auto opened = testing::run(file->open(0, std::nullopt));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message.code, "sources.changed");
  EXPECT_NE(testing::run(file->identify())->text, before->text);
}

TEST_F(FileSourcesTest, AMissingRootIsSaidAtStart) {
  FileSources::Options options;
  options.root = folder_ / "absent";
  const auto opened = FileSources::open(std::move(options), worker_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message.code, "sources.root-missing");
}

}  // namespace
}  // namespace tally::sources
