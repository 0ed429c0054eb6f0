#include "dataplane/text_decoder.hpp"

#include <gtest/gtest.h>

#include "tally/core/digest.hpp"

namespace tally::dataplane {
namespace {

using catalog::Encoding;

// 丂 has two bytes of GB18030, the second one '@'; 𠀀 and 㐀 have four; each is cut everywhere.
TEST(TextDecoder, ACharacterMayBeCutAnywhere) {
  const std::string bytes =
      "a\x81\x40\x95\x32\x82\x36\x81\x39\xee\x39"
      "b";
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      TextDecoder decoder(Encoding::gb18030);
      std::string out;
      decoder.decode(as_bytes(bytes.substr(0, first)), out);
      decoder.decode(as_bytes(bytes.substr(first, second - first)), out);
      decoder.decode(as_bytes(bytes.substr(second)), out);
      decoder.finish();
      ASSERT_FALSE(decoder.fault()) << first << " " << second;
      EXPECT_EQ(out, "a丂𠀀㐀b") << first << " " << second;
    }
  }
}

// What cannot be decoded is not kept until the end, where it would hold all that follows.
TEST(TextDecoder, AFaultIsFoundWhereItIs) {
  for (const auto encoding : {Encoding::utf8, Encoding::gb18030}) {
    TextDecoder decoder(encoding);
    std::string out;
    decoder.decode(as_bytes("good"), out);
    EXPECT_FALSE(decoder.fault());
    decoder.decode(as_bytes("more\xff\xff\xff\xffrest"), out);
    ASSERT_TRUE(decoder.fault());
    EXPECT_EQ(decoder.fault()->code, "dataplane.undecodable");
    decoder.decode(as_bytes("good again"), out);
    EXPECT_EQ(out, "goodmore");
  }
}

TEST(TextDecoder, ALongPieceOfManyBytesACharacterFits) {
  std::string bytes;
  std::string expected;
  for (int i = 0; i < 20000; ++i) {
    bytes += i % 3 == 0 ? "\x95\x32\x82\x36" : "\x81\x40";
    expected += i % 3 == 0 ? "𠀀" : "丂";
  }
  TextDecoder decoder(Encoding::gb18030);
  std::string out;
  decoder.decode(as_bytes(bytes), out);
  decoder.finish();
  EXPECT_FALSE(decoder.fault());
  EXPECT_EQ(out, expected);
}

}  // namespace
}  // namespace tally::dataplane
