// The one form of an archive: what is written is read, and nothing else is.
#include "tally/audit/ustar.hpp"

#include <gtest/gtest.h>

namespace tally::audit {
namespace {

const std::vector<UstarFile> files = {
    {"a/b.txt", "some bytes"}, {"empty", ""}, {"full", std::string_view("0123456789abcdef")}};

TEST(Ustar, WhatIsWrittenIsRead) {
  const std::string archive = write_ustar(files);
  EXPECT_EQ(archive.size() % 512, 0U);
  const auto read = parse_ustar(archive);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, files);
  EXPECT_TRUE(parse_ustar(write_ustar({}))->empty());
}

TEST(Ustar, EveryOtherByteOfWhatIsNoContentIsRefused) {
  const std::string archive = write_ustar(files);
  const auto read = parse_ustar(archive);
  for (std::size_t at = 0; at < archive.size(); ++at) {
    std::string other = archive;
    other[at] = static_cast<char>(other[at] ^ 0x01);
    const auto again = parse_ustar(other);
    // A changed byte is refused or is a byte of a file or of a name with its checksum.
    if (again) EXPECT_NE(*again, *read) << at;
  }
  for (std::size_t size = 0; size < archive.size(); ++size) {
    EXPECT_FALSE(parse_ustar(archive.substr(0, size))) << size;
  }
  EXPECT_FALSE(parse_ustar(archive + std::string(512, '\0')));
}

TEST(Ustar, NamesThatCouldLeadAnywhereAreNone) {
  for (const char* name :
       {"",
        "/",
        "/etc/passwd",
        "a//b",
        "a/",
        "..",
        "a/../b",
        ".hidden",
        "a/.b",
        "a b",
        "a\\b",
        "\xc3\xa9"}) {
    EXPECT_FALSE(is_ustar_name(name)) << name;
    const UstarFile file{name, "x"};
    EXPECT_FALSE(parse_ustar(write_ustar(std::span(&file, 1)))) << name;
  }
  EXPECT_FALSE(is_ustar_name(std::string(101, 'a')));
  EXPECT_TRUE(is_ustar_name(std::string(100, 'a')));
  EXPECT_TRUE(is_ustar_name("records/00000000000000000007.json"));
}

TEST(Ustar, NamesStandInOrderAndOnce) {
  const std::vector<UstarFile> twice = {{"a", "1"}, {"a", "2"}};
  const std::vector<UstarFile> backwards = {{"b", "1"}, {"a", "2"}};
  EXPECT_FALSE(parse_ustar(write_ustar(twice)));
  EXPECT_FALSE(parse_ustar(write_ustar(backwards)));
}

}  // namespace
}  // namespace tally::audit
