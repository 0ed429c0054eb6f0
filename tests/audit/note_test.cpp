#include "tally/audit/note.hpp"

#include <gtest/gtest.h>

namespace tally::audit {
namespace {

const std::string spec_key =
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const std::string spec_note =
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    "\n";
// RFC 8032, test 1.
const std::string seed_hex = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

VerifierKey own_key() {
  const Bytes seed = *from_hex(seed_hex);
  return make_verifier_key("connector.example/log1", *ed25519_public_key(seed));
}
Result<Bytes> sign_own(std::span<const std::uint8_t> bytes) {
  return ed25519_sign(*from_hex(seed_hex), bytes);
}

TEST(Note, TheVectorOfTheSpecificationIsAccepted) {
  const auto key = parse_verifier_key(spec_key);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->name, "example.com/foo");
  EXPECT_EQ(key->id, 0x530d903aU);
  EXPECT_EQ(key->text(), spec_key);
  const auto verified = verify_note(spec_note, std::vector{*key});
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->text, "This is an example message.\n");
  EXPECT_EQ(verified->signers, std::vector<std::string>{"example.com/foo"});
}

TEST(Note, ACheckpointIsSignedAsOtherToolsSignIt) {
  const VerifierKey key = own_key();
  EXPECT_EQ(
      key.text(), "connector.example/log1+e4e9c3a0+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
  );
  const std::string text =
      "connector.example/log1\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n";
  const auto note = sign_note(text, key, sign_own);
  ASSERT_TRUE(note);
  EXPECT_EQ(
      *note,
      text +
          "\n— connector.example/log1 5OnDoDmuWOzhFhCVTN57+AZE7kp3C3eAu9aBtwttG3HglCfFE+"
          "pTbvkUabfg83upVXKSdWCzx/Qo8rQUPOrDcRGhcQ8=\n"
  );
  EXPECT_TRUE(verify_note(*note, std::vector{key}));
}

TEST(Note, AnUnknownKeyIsIgnoredAndAForgedSignatureOfAKnownOneRefusesAll) {
  const VerifierKey spec = *parse_verifier_key(spec_key);
  const VerifierKey own = own_key();
  const std::string text = "This is an example message.\n";
  const std::string own_note = *sign_note(text, own, sign_own);
  const std::string own_line = own_note.substr(text.size() + 1);
  const std::string both = spec_note + own_line;
  EXPECT_EQ(verify_note(both, std::vector{spec})->signers.size(), 1U);
  EXPECT_EQ(verify_note(both, std::vector{spec, own})->signers.size(), 2U);

  std::string forged = both;
  const std::size_t at = forged.rfind("EAu9aB");  // within nothing: another base64 of own_line
  const std::size_t flip = at == std::string::npos ? forged.size() - 12 : at;
  forged[flip] = forged[flip] == 'A' ? 'B' : 'A';
  const auto refused = verify_note(forged, std::vector{spec, own});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.code, "audit.note-forged");
  EXPECT_TRUE(verify_note(forged, std::vector{spec}));

  const auto unsigned_note = verify_note(spec_note, std::vector{own});
  ASSERT_FALSE(unsigned_note);
  EXPECT_EQ(unsigned_note.error().message.code, "audit.note-unsigned");
}

TEST(Note, EveryChangedCharacterOfTheTextIsNoticed) {
  const VerifierKey key = *parse_verifier_key(spec_key);
  for (std::size_t i = 0; i < spec_note.size(); ++i) {
    std::string changed = spec_note;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(verify_note(changed, std::vector{key})) << i;
  }
}

TEST(Note, WhatIsNoNoteIsRefused) {
  const VerifierKey key = *parse_verifier_key(spec_key);
  for (const std::string& text :
       {std::string(),
        std::string("text\n"),
        std::string("text\n\n"),
        std::string("text\n\nx\n"),
        std::string("te\txt\n\n— a AAAAAAAA\n"),
        std::string("text\n\n— a b c\n"),
        spec_note.substr(0, spec_note.size() - 1),
        spec_note + "\n"}) {
    EXPECT_FALSE(verify_note(text, std::vector{key})) << text;
  }
  for (const std::string& name :
       {"",
        "a b",
        "a+b",
        "a\xC2\xA0"
        "b"}) {
    EXPECT_FALSE(sign_note("text\n", make_verifier_key(name, key.public_key), sign_own)) << name;
  }
  EXPECT_FALSE(sign_note("no line feed", own_key(), sign_own));
  for (const std::string& bad :
       {std::string("a"),
        std::string("a+b"),
        std::string("a+00000000+AQ=="),
        "x" + spec_key,
        spec_key + "A"}) {
    EXPECT_FALSE(parse_verifier_key(bad)) << bad;
  }
}

}  // namespace
}  // namespace tally::audit
