#include "tally/audit/note.hpp"

#include <gtest/gtest.h>

#include "audit/known_keys.hpp"

namespace tally::audit {
namespace {

const std::string spec_key =
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const std::string spec_note =
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    "\n";
const Signer sign_own = signer_of(log_seed);
const Signer sign_witness = signer_of(witness_seed);

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
  const VerifierKey key = log_key();
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
  const VerifierKey own = log_key();
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

TEST(Cosignature, IsMadeAsOtherToolsMakeIt) {
  const VerifierKey key = witness_key();
  const std::string vkey =
      "peer.example/witness+9cfabb06+BD1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM";
  EXPECT_EQ(key.text(), vkey);
  EXPECT_EQ(parse_verifier_key(vkey).value(), key);
  const auto made = make_cosignature(checkpoint_text, key, witness_time, sign_witness);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->line(), witness_line);
}

TEST(Cosignature, StandsBesideTheSignatureOfTheLog) {
  const std::string note = checkpoint_text + "\n" + log_line + witness_line;
  const auto both = verify_note(note, std::vector{log_key(), witness_key()});
  ASSERT_TRUE(both);
  EXPECT_EQ(both->text, checkpoint_text);
  EXPECT_TRUE(both->others.empty());
  ASSERT_EQ(both->good.size(), 2U);
  EXPECT_FALSE(both->good[0].cosignature());
  EXPECT_TRUE(both->good[1].cosignature());
  EXPECT_EQ(both->good[1].time, witness_time);
  // Whoever knows one key only keeps the other line as it is.
  const auto one = verify_note(note, std::vector{witness_key()});
  ASSERT_TRUE(one);
  ASSERT_EQ(one->others.size(), 1U);
  EXPECT_EQ(one->others[0].line(), log_line);
  EXPECT_EQ(parse_note(note).value().print(), note);
}

TEST(Cosignature, EveryChangedBitIsNoticed) {
  const std::string note = checkpoint_text + "\n" + witness_line;
  const std::vector known{witness_key()};
  ASSERT_TRUE(verify_note(note, known));
  for (std::size_t i = 0; i < note.size(); ++i) {
    std::string changed = note;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(verify_note(changed, known)) << i;
  }
  Note other = parse_note(note).value();
  other.signatures[0].signature[7] ^= 1;  // the time
  EXPECT_EQ(code_of(verify_note(other, known)), "audit.note-forged");
  for (const std::size_t size : {1U, 8U, 9U, 71U, 73U}) {
    other.signatures[0].signature = Bytes(size, 1);
    EXPECT_EQ(code_of(verify_note(other, known)), "audit.note-forged") << size;
  }
}

TEST(Cosignature, IsNeverTakenForAPlainSignatureNorTheOtherWayRound) {
  const VerifierKey witness = witness_key();
  const auto plain_key = make_verifier_key(witness.name, witness.public_key);
  EXPECT_NE(plain_key.id, witness.id);
  EXPECT_FALSE(make_signature(checkpoint_text, witness, sign_witness));
  EXPECT_FALSE(make_cosignature(checkpoint_text, plain_key, witness_time, sign_witness));
  // A note whose text is what the witness signed, with the id of the plain key.
  const Bytes blob = make_cosignature(checkpoint_text, witness, 5, sign_witness)->signature;
  Note note{"cosignature/v1\ntime 5\n" + checkpoint_text, {{plain_key.name, plain_key.id, {}}}};
  note.signatures[0].signature.assign(blob.begin() + 8, blob.end());
  EXPECT_EQ(code_of(verify_note(note, std::vector{witness})), "audit.note-unsigned");
  note.signatures[0].id = witness.id;
  EXPECT_EQ(code_of(verify_note(note, std::vector{witness})), "audit.note-forged");
  // A type that is not known is not checked as one that is.
  note = Note{checkpoint_text, {*make_signature(checkpoint_text, log_key(), sign_own)}};
  VerifierKey odd = log_key();
  odd.type = 0x06;
  EXPECT_FALSE(verify_note(note, std::vector{odd}));
  odd = witness;
  odd.type = 0x06;
  note = Note{checkpoint_text, {*make_cosignature(checkpoint_text, witness, 5, sign_witness)}};
  EXPECT_TRUE(verify_note(note, std::vector{witness}));
  EXPECT_FALSE(verify_note(note, std::vector{odd}));
}

TEST(Cosignature, HasATimeOfAtMost63Bits) {
  const std::uint64_t most = (std::uint64_t{1} << 63) - 1;
  const auto last = make_cosignature(checkpoint_text, witness_key(), most, sign_witness);
  ASSERT_TRUE(last);
  const std::vector known{witness_key()};
  EXPECT_EQ(verify_note(Note{checkpoint_text, {*last}}, known)->good[0].time, most);
  EXPECT_FALSE(make_cosignature(checkpoint_text, witness_key(), most + 1, sign_witness));
  const std::string message = "cosignature/v1\ntime 9223372036854775808\n" + checkpoint_text;
  Bytes blob{0x80, 0, 0, 0, 0, 0, 0, 0};
  const Bytes signature = *sign_witness(as_bytes(message));
  blob.insert(blob.end(), signature.begin(), signature.end());
  const Note later{checkpoint_text, {{"peer.example/witness", witness_key().id, blob}}};
  EXPECT_EQ(code_of(verify_note(later, known)), "audit.note-forged");
}

TEST(Note, SignaturesByKeysOfUnknownTypesAreKept) {
  const std::string odd = "— other.example/x " + to_base64(Bytes(2424, 6)) + "\n";
  const std::string note = checkpoint_text + "\n" + odd + log_line + odd;
  const auto verified = verify_note(note, std::vector{log_key()});
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->signers.size(), 1U);
  ASSERT_EQ(verified->others.size(), 2U);
  EXPECT_EQ(verified->others[1].line(), odd);
  EXPECT_EQ(parse_note(note)->print(), note);
  // The same name with another id, and the same id with another name, are other keys.
  VerifierKey renamed = log_key();
  renamed.name = "connector.example/log2";
  EXPECT_EQ(code_of(verify_note(note, std::vector{renamed})), "audit.note-unsigned");
  VerifierKey renumbered = log_key();
  renumbered.id ^= 1;
  EXPECT_EQ(code_of(verify_note(note, std::vector{renumbered})), "audit.note-unsigned");
}

TEST(Note, ANoteThatIsTooLargeIsRefused) {
  std::string note = checkpoint_text + "\n";
  for (std::size_t i = 0; i < most_note_signatures; ++i) note += log_line;
  EXPECT_TRUE(verify_note(note, std::vector{log_key()}));
  EXPECT_EQ(code_of(verify_note(note + log_line, std::vector{log_key()})), "audit.note-too-large");
  const std::string long_text = std::string(most_note_bytes - 1, 'a') + "\n";
  EXPECT_EQ(code_of(parse_note(long_text + "\n" + log_line)), "audit.note-too-large");
  EXPECT_EQ(code_of(parse_signature_lines(long_text + "a")), "audit.note-too-large");
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
        std::string("te\xFFxt\n\n— a AAAAAAAA\n"),
        std::string("te\xC0\x8Axt\n\n— a AAAAAAAA\n"),
        std::string("text\n\n— a AAAAAA==\n"),
        std::string("text\n\n- a AAAAAAAA\n"),
        spec_note.substr(0, spec_note.size() - 1),
        spec_note + "\n"}) {
    EXPECT_EQ(code_of(verify_note(text, std::vector{key})), "audit.note-malformed") << text;
  }
  for (const std::string& name :
       {"",
        "a b",
        "a+b",
        "a\xC2\xA0"
        "b"}) {
    EXPECT_FALSE(sign_note("text\n", make_verifier_key(name, key.public_key), sign_own)) << name;
  }
  EXPECT_FALSE(sign_note("no line feed", log_key(), sign_own));
  for (const std::string& bad :
       {std::string("a"),
        std::string("a+b"),
        std::string("a+00000000+AQ=="),
        make_verifier_key("a", key.public_key, 0x02).text(),
        make_verifier_key("a", Bytes(1312), 0x06).text(),
        make_verifier_key("a", Bytes(31)).text(),
        "x" + spec_key,
        spec_key + "A"}) {
    EXPECT_FALSE(parse_verifier_key(bad)) << bad;
  }
}

}  // namespace
}  // namespace tally::audit
