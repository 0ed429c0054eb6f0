#include "tally/dataplane/stream.hpp"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "support/run.hpp"

namespace tally::dataplane {
namespace {

struct RangeCase {
  const char* header;
  std::uint64_t length;
  ParsedRange wanted;
};

TEST(Range, IsReadAsRfc9110Says) {
  const auto part = [](std::uint64_t offset, std::uint64_t length) {
    return ParsedRange{RangeKind::part, {offset, length}};
  };
  const auto whole = [](std::uint64_t length) {
    return ParsedRange{RangeKind::whole, {0, length}};
  };
  const ParsedRange outside{RangeKind::unsatisfiable, {}};
  const RangeCase cases[] = {
      {"bytes=0-", 100, part(0, 100)},
      {"bytes=0-99", 100, part(0, 100)},
      {"bytes=0-0", 100, part(0, 1)},
      {"bytes=99-", 100, part(99, 1)},
      {"bytes=10-19", 100, part(10, 10)},
      {"bytes=10-1000", 100, part(10, 90)},
      {"bytes=10-99999999999999999999999999", 100, part(10, 90)},
      {"bytes=-10", 100, part(90, 10)},
      {"bytes=-1000", 100, part(0, 100)},
      {" Bytes = 5 - 6 ", 100, part(5, 2)},
      {"bytes=100-", 100, outside},
      {"bytes=99999999999999999999999999-", 100, outside},
      {"bytes=-0", 100, outside},
      {"bytes=0-", 0, outside},
      {"bytes=-5", 0, outside},
      {"bytes=20-10", 100, whole(100)},
      {"bytes=1-2,4-5", 100, whole(100)},
      {"bytes=", 100, whole(100)},
      {"bytes=-", 100, whole(100)},
      {"bytes=a-b", 100, whole(100)},
      {"bytes=+1-2", 100, whole(100)},
      {"bytes=1", 100, whole(100)},
      {"rows=1-2", 100, whole(100)},
      {"", 100, whole(100)},
  };
  for (const RangeCase& one : cases) {
    EXPECT_EQ(parse_range(one.header, one.length), one.wanted)
        << one.header << " of " << one.length;
  }
}

TEST(Range, AChangedSourceIsRefusedInsteadOfStartedOver) {
  const SourceIdentity then{"version-1", 1000};
  const SourceIdentity now{"version-2", 1000};
  Headers request;
  request.set("Range", "bytes=400-");
  EXPECT_EQ(select(request, now).status, 206);
  request.set("If-Range", etag_of(then));
  EXPECT_EQ(select(request, then).status, 206);
  EXPECT_EQ(select(request, then).range, (ByteRange{400, 600}));
  EXPECT_EQ(select(request, now).status, 412);
  request.set("If-Range", "W/" + etag_of(now));  // weak validators never match here
  EXPECT_EQ(select(request, now).status, 412);
  Headers beyond;
  beyond.set("Range", "bytes=1000-");
  EXPECT_EQ(select(beyond, now).status, 416);
}

TEST(Range, TheAnswerSaysWhichBytesItHolds) {
  const SourceIdentity identity{"version-1", 1000};
  Headers part;
  describe({206, {400, 600}}, identity, part);
  EXPECT_EQ(part.get("Content-Range"), "bytes 400-999/1000");
  EXPECT_EQ(part.get("ETag"), etag_of(identity));
  Headers outside;
  describe({416, {}}, identity, outside);
  EXPECT_EQ(outside.get("Content-Range"), "bytes */1000");
  Headers whole;
  describe({200, {0, 1000}}, identity, whole);
  EXPECT_FALSE(whole.get("Content-Range"));
}

TEST(Etag, HidesTheIdentityAndTellsVersionsApart) {
  const std::string tag = etag_of({"file:1024:17", 1024});
  EXPECT_EQ(tag.size(), 34U);
  EXPECT_EQ(tag.find("1024"), std::string::npos);
  EXPECT_NE(tag, etag_of({"file:1024:18", 1024}));
}

// Hands out its text in steps, then the end or an error.
class TextReader : public BodyReader {
 public:
  TextReader(std::string text, std::size_t step, bool breaks = false)
      : text_(std::move(text)), step_(step), breaks_(breaks) {}
  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    const std::size_t n = std::min({out.size(), step_, text_.size() - at_});
    if (n == 0 && breaks_) co_return fail(ErrorKind::unavailable, Message{"test.broken", {}});
    std::memcpy(out.data(), text_.data() + at_, n);
    at_ += n;
    co_return n;
  }

 private:
  std::string text_;
  std::size_t step_;
  bool breaks_;
  std::size_t at_ = 0;
};

struct Seen {
  int calls = 0;
  StreamEnd end;
};

awaitable<Result<std::string>> drain(DigestingReader& reader) {
  std::string text;
  std::array<std::uint8_t, 16> piece{};
  while (true) {
    const auto n = co_await reader.read(piece);
    if (!n) co_return tl::unexpected(n.error());
    if (*n == 0) co_return text;
    text.append(reinterpret_cast<const char*>(piece.data()), *n);
  }
}

class Digesting : public ::testing::Test {
 protected:
  DigestingReader reader(
      std::string text, std::optional<std::uint64_t> expected, bool breaks = false
  ) {
    return {
        std::make_unique<TextReader>(std::move(text), 7, breaks),
        expected,
        [this](const StreamEnd& end) {
          ++seen_.calls;
          seen_.end = end;
        }};
  }
  Seen seen_;
};

TEST_F(Digesting, DigestsExactlyWhatWasRead) {
  const std::string text = "the quick brown fox jumps over the lazy dog";
  {
    auto whole = reader(text, std::nullopt);
    EXPECT_EQ(testing::run(drain(whole)), text);
  }
  EXPECT_EQ(seen_.calls, 1);
  EXPECT_TRUE(seen_.end.complete);
  EXPECT_EQ(seen_.end.bytes, text.size());
  EXPECT_EQ(seen_.end.sha256, sha256(text));
}

TEST_F(Digesting, TheEndIsToldWithTheLastExpectedByteAndNotBefore) {
  auto counted = reader("0123456789", 10);
  std::array<std::uint8_t, 8> piece{};
  EXPECT_EQ(testing::run(counted.read(piece)), std::size_t{7});
  EXPECT_EQ(seen_.calls, 0);
  EXPECT_EQ(testing::run(counted.read(piece)), std::size_t{3});
  EXPECT_EQ(seen_.calls, 1);  // a sender with a Content-Length may never read the end
  EXPECT_TRUE(seen_.end.complete);
}

TEST_F(Digesting, MoreThanExpectedIsNeverPassedOn) {
  auto longer = reader("0123456789 and more", 10);
  EXPECT_EQ(testing::run(drain(longer)), "0123456789");
  EXPECT_EQ(seen_.end.sha256, sha256("0123456789"));
}

TEST_F(Digesting, AShortSourceIsAnErrorAndACut) {
  auto shorter = reader("01234", 10);
  const auto read = testing::run(drain(shorter));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message.code, "dataplane.short-source");
  EXPECT_EQ(seen_.calls, 1);
  EXPECT_FALSE(seen_.end.complete);
  EXPECT_EQ(seen_.end.bytes, 5U);
}

TEST_F(Digesting, AnErrorAndADroppedReaderAreCuts) {
  {
    auto broken = reader("01234", std::nullopt, true);
    EXPECT_FALSE(testing::run(drain(broken)));
    EXPECT_EQ(seen_.calls, 1);
    EXPECT_FALSE(seen_.end.complete);
  }
  EXPECT_EQ(seen_.calls, 1);
  {
    auto dropped = reader("0123456789", std::nullopt);
    std::array<std::uint8_t, 4> piece{};
    EXPECT_EQ(testing::run(dropped.read(piece)), std::size_t{4});
  }
  EXPECT_EQ(seen_.calls, 2);
  EXPECT_FALSE(seen_.end.complete);
  EXPECT_EQ(seen_.end.sha256, sha256("0123"));
}

TEST_F(Digesting, NothingExpectedIsCompleteAtOnce) {
  auto nothing = reader("", 0);
  EXPECT_EQ(seen_.calls, 1);
  EXPECT_TRUE(seen_.end.complete);
  EXPECT_EQ(testing::run(drain(nothing)), "");
}

}  // namespace
}  // namespace tally::dataplane
