#include "tally/core/digest.hpp"

#include <array>

#include <gtest/gtest.h>

#include "crc32c.hpp"

namespace tally {
namespace {

TEST(Digest, HmacOfTheStandardsVectors) {  // RFC 4231
  const auto hmac = [](const std::string& key, std::string_view text) {
    return to_hex(hmac_sha256(as_bytes(key), as_bytes(text)));
  };
  EXPECT_EQ(
      hmac(std::string(20, '\x0b'), "Hi There"),
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
  );
  EXPECT_EQ(
      hmac("Jefe", "what do ya want for nothing?"),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
  );
  EXPECT_EQ(
      hmac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
  );
}

TEST(Digest, Sha256OfTheStandardsVectors) {
  EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(
      digest_text(sha256("abc")),
      "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
  );
}

TEST(Digest, FinishStartsAnew) {
  Sha256 context;
  context.update("a");
  context.update("bc");
  EXPECT_EQ(context.finish(), sha256("abc"));
  context.update("abc");
  EXPECT_EQ(context.finish(), sha256("abc"));
  Sha256 moved = std::move(context);
  EXPECT_EQ(moved.finish(), sha256(""));
}

TEST(Digest, HexReadsBothCasesAndNothingElse) {
  EXPECT_EQ(to_hex(*from_hex("00fFa1")), "00ffa1");
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
  EXPECT_TRUE(from_hex("")->empty());
}

TEST(Digest, Base64OfRfc4648) {
  const std::array<std::array<const char*, 3>, 7> cases = {
      {{"", "", ""},
       {"f", "Zg==", "Zg"},
       {"fo", "Zm8=", "Zm8"},
       {"foo", "Zm9v", "Zm9v"},
       {"foob", "Zm9vYg==", "Zm9vYg"},
       {"fooba", "Zm9vYmE=", "Zm9vYmE"},
       {"foobar", "Zm9vYmFy", "Zm9vYmFy"}}};
  for (const auto& [text, padded, bare] : cases) {
    EXPECT_EQ(to_base64(as_bytes(text)), padded);
    EXPECT_EQ(to_base64url(as_bytes(text)), bare);
    const auto bytes = as_bytes(text);
    const Bytes expected(bytes.begin(), bytes.end());
    EXPECT_EQ(from_base64(padded), expected);
    EXPECT_EQ(from_base64url(bare), expected);
  }
  const std::array<std::uint8_t, 3> high = {0xfb, 0xff, 0xfe};
  EXPECT_EQ(to_base64(high), "+//+");
  EXPECT_EQ(to_base64url(high), "-__-");
}

TEST(Digest, Base64RefusesWhatIsNotCanonical) {
  for (const char* text : {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm9v\n", "Zm 9", "-_-_"}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
  for (const char* text : {"Zg==", "Zh", "Zm9=", "Z", "+/+/"}) {
    EXPECT_FALSE(from_base64url(text)) << text;
  }
}

TEST(Digest, Crc32cOfRfc3720) {
  Bytes bytes(32, 0);
  EXPECT_EQ(crc32c(bytes), 0x8a9136aaU);
  bytes.assign(32, 0xff);
  EXPECT_EQ(crc32c(bytes), 0x62a8ab43U);
  for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(crc32c(bytes), 0x46dd794eU);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283U);
  EXPECT_EQ(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))), 0xe3069283U);
}

TEST(Digest, Crc32cByTableIsTheOneOfTheHardware) {
  Bytes bytes;
  for (std::size_t size = 0; size < 300; ++size) {
    EXPECT_EQ(crc32c(bytes, 7), crc32c_portable(bytes, 7)) << size;
    bytes.push_back(static_cast<std::uint8_t>(size * 167 + 13));
  }
}

TEST(Digest, TextIsReadInTheOneSpellingOfIt) {
  const Digest digest = sha256("abc");
  const std::string text = digest_text(digest);
  EXPECT_EQ(parse_digest_text(text), digest);
  std::string capital = text;
  capital[7] = 'B';
  for (const std::string& other :
       {std::string(),
        text.substr(7),
        text + "0",
        text.substr(0, 70),
        "sha512:" + text.substr(7),
        capital,
        text.substr(0, 70) + "g"}) {
    EXPECT_FALSE(parse_digest_text(other)) << other;
  }
}

TEST(Digest, SecretsAreEqualOnlyWhole) {
  EXPECT_TRUE(equal_secret("token", "token"));
  EXPECT_FALSE(equal_secret("token", "tokem"));
  EXPECT_FALSE(equal_secret("token", "toke"));
  EXPECT_TRUE(equal_secret("", ""));
}

}  // namespace
}  // namespace tally
