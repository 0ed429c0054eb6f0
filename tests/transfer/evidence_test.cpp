// Tokens and signed notes: small values with sharp edges.
#include <gtest/gtest.h>

#include "tally/audit/note.hpp"
#include "tally/core/digest.hpp"
#include "tally/transfer/receipt.hpp"
#include "tally/transfer/token_registry.hpp"

#include "negotiation/machine.hpp"

namespace tally::transfer {
namespace {

using negotiation::test::hospital;
using negotiation::test::identity_of;
using negotiation::test::institute;
using negotiation::test::outsider;
using negotiation::test::signer_of;

TokenGrant grant(const std::string& transfer = "urn:test:t") {
  return {
      Pid(transfer), AgreementId("urn:test:a"), AssetId("urn:test:d"), institute, "read", nullptr};
}

bool opens(const TokenRegistry& tokens, const std::string& token, const PartyId& party, int cert) {
  return std::holds_alternative<TokenGrantPtr>(tokens.find(token, identity_of(party, cert)));
}

Row row(
    const std::string& token, int certificate, std::int64_t at, const TokenGrant& of = grant()
) {
  return TokenRegistry::row_of(
      token, of, identity_of(institute, certificate).certificate_sha256, Instant{at, 0}
  );
}

TEST(Tokens, OpenOnlyWithTheCertificateThatAsked) {
  TokenRegistry tokens;
  tokens.add(row("secret", 1, 1));
  EXPECT_TRUE(opens(tokens, "secret", institute, 1));
  const auto renewed = tokens.find("secret", identity_of(institute, 2));
  ASSERT_TRUE(std::holds_alternative<TokenRefusal>(renewed));
  EXPECT_EQ(std::get<TokenRefusal>(renewed), TokenRefusal::certificate_changed);
  // Another party with the token learns nothing, nor does the same URI of another domain.
  for (const auto& other : {hospital, outsider}) {
    const auto found = tokens.find("secret", identity_of(other, 1));
    ASSERT_TRUE(std::holds_alternative<TokenRefusal>(found));
    EXPECT_EQ(std::get<TokenRefusal>(found), TokenRefusal::unknown);
  }
  EXPECT_FALSE(opens(tokens, "secret2", institute, 1));
  EXPECT_FALSE(opens(tokens, "", institute, 1));
}

TEST(Tokens, WithoutACertificateAreThePartysOwn) {
  const auto by_credential = [](const PartyId& party) {
    auto identity = identity_of(party, 1);
    identity.certificate_sha256 = identity::by_credential;
    return identity;
  };
  TokenRegistry tokens;
  tokens.add(row("certified", 1, 1));
  tokens.add(TokenRegistry::row_of(
      "word", grant("urn:test:u"), by_credential(institute).certificate_sha256, Instant{1, 0}
  ));
  EXPECT_EQ(tokens.holder("word"), institute);
  EXPECT_TRUE(std::holds_alternative<TokenGrantPtr>(tokens.find("word", by_credential(institute))));
  const auto other = tokens.find("word", by_credential(hospital));
  EXPECT_EQ(std::get<TokenRefusal>(other), TokenRefusal::unknown);
  // Neither opens where the other does.
  EXPECT_FALSE(opens(tokens, "word", institute, 1));
  EXPECT_FALSE(
      std::holds_alternative<TokenGrantPtr>(tokens.find("certified", by_credential(institute)))
  );
  // A token that needs its certificate, one that rests and none at all are nobody's.
  EXPECT_EQ(tokens.holder("certified"), std::nullopt);
  EXPECT_EQ(tokens.holder(""), std::nullopt);
  tokens.rest(Pid("urn:test:u"), true);
  EXPECT_EQ(tokens.holder("word"), std::nullopt);
}

TEST(Tokens, AreNotInTheStore) {
  const auto stored = row("a-very-secret-token", 1, 1);
  EXPECT_EQ((stored.id + stored.body).find("a-very-secret-token"), std::string::npos);
  EXPECT_EQ(stored.id, to_hex(sha256("a-very-secret-token")));
}

TEST(Tokens, TheOldOneEndsWhenTheFreshOneIsFirstUsed) {
  TokenRegistry tokens;
  tokens.add(row("old", 1, 1));
  tokens.add(row("other transfer", 1, 1, grant("urn:test:u")));
  tokens.add(row("fresh", 2, 2));
  EXPECT_TRUE(opens(tokens, "old", institute, 1));
  EXPECT_FALSE(opens(tokens, "fresh", institute, 1));  // not used: it was refused
  EXPECT_TRUE(opens(tokens, "old", institute, 1));
  EXPECT_TRUE(opens(tokens, "fresh", institute, 2));
  EXPECT_FALSE(opens(tokens, "old", institute, 1));
  EXPECT_TRUE(opens(tokens, "other transfer", institute, 1));
}

TEST(Tokens, RestWhileTheirTransferIsSuspendedAndGoWithIt) {
  TokenRegistry tokens;
  tokens.add(row("a", 1, 1));
  tokens.add(row("b", 1, 1, grant("urn:test:u")));
  tokens.rest(Pid("urn:test:t"), true);
  EXPECT_FALSE(opens(tokens, "a", institute, 1));
  EXPECT_TRUE(opens(tokens, "b", institute, 1));
  tokens.rest(Pid("urn:test:t"), false);
  EXPECT_TRUE(opens(tokens, "a", institute, 1));
  tokens.revoke(Pid("urn:test:t"));
  EXPECT_FALSE(opens(tokens, "a", institute, 1));
  tokens.rest(Pid("urn:test:t"), false);
  EXPECT_FALSE(opens(tokens, "a", institute, 1));
  EXPECT_TRUE(opens(tokens, "b", institute, 1));
}

Receipt receipt() {
  Receipt receipt;
  receipt.agreement = AgreementId("urn:test:a");
  receipt.process = Pid("urn:test:p");
  receipt.content = "sha256:abc";
  receipt.bytes = 42;
  receipt.from = LogPlace{"did:web:hospital.example/log/1", 7, "00ff"};
  receipt.time = "2026-01-01T00:00:00.000000Z";
  return receipt;
}

std::span<const std::uint8_t> key_of(const PartyId& party) {
  return signer_of(party)->public_key();
}

TEST(Receipts, ComeBackAsTheyWereSigned) {
  const auto note = sign_receipt(receipt(), hospital.uri, *signer_of(hospital)).value();
  EXPECT_TRUE(note.starts_with("tally/receipt/v1\n{\"agreement\":"));
  EXPECT_EQ(verify_receipt(note, hospital.uri, key_of(hospital)).value(), receipt());
  auto theirs = receipt();
  theirs.to = LogPlace{"other/log/1", 9, "11"};
  theirs.from.reset();
  const auto second = sign_receipt(theirs, institute.uri, *signer_of(institute)).value();
  EXPECT_EQ(verify_receipt(second, institute.uri, key_of(institute)).value(), theirs);
}

TEST(Receipts, AChangeAnywhereIsFound) {
  const auto note = sign_receipt(receipt(), hospital.uri, *signer_of(hospital)).value();
  for (std::size_t at = 0; at < note.size(); ++at) {
    auto changed = note;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(verify_receipt(changed, hospital.uri, key_of(hospital))) << at;
  }
  EXPECT_FALSE(verify_receipt(note, hospital.uri, key_of(institute)));
  EXPECT_FALSE(verify_receipt(note, institute.uri, key_of(hospital)));
  EXPECT_FALSE(verify_receipt("", hospital.uri, key_of(hospital)));
  EXPECT_FALSE(verify_receipt(std::string(1 << 20, 'x'), hospital.uri, key_of(hospital)));
}

// Two texts with one meaning would be two digests for one receipt.
TEST(Receipts, OnlyTheCanonicalFormIsSigned) {
  const auto signer = signer_of(hospital);
  const auto key = audit::make_verifier_key(hospital.uri, signer->public_key());
  const audit::Signer sign = [&](std::span<const std::uint8_t> bytes) -> Result<Bytes> {
    const auto signature = signer->sign(bytes);
    return Bytes(signature.begin(), signature.end());
  };
  const std::string canonical =
      R"({"agreement":"urn:a","bytes":1,"content":"sha256:0","pid":"urn:p","time":"t"})";
  const auto verified = [&](const std::string& text) {
    const auto note = audit::sign_note("tally/receipt/v1\n" + text + "\n", key, sign).value();
    return verify_receipt(note, hospital.uri, key_of(hospital)).has_value();
  };
  EXPECT_TRUE(verified(canonical));
  EXPECT_FALSE(verified(canonical + " "));
  EXPECT_FALSE(verified(canonical + "\nmore"));
  EXPECT_FALSE(
      verified(R"({"bytes":1,"agreement":"urn:a","content":"sha256:0","pid":"urn:p","time":"t"})")
  );
  EXPECT_FALSE(verified(R"({"agreement":"urn:a","bytes":1,"content":"sha256:0","pid":"urn:p"})"));
}

TEST(Receipts, OneKindOfNoteDoesNotStandForAnother) {
  DeletionNote note;
  note.agreement = AgreementId("urn:test:a");
  note.content = "sha256:abc";
  note.bytes = 42;
  note.method = "key-shredded";
  note.time = "2026-01-01T00:00:00.000000Z";
  note.log = {"origin", 1, "00"};
  const auto deletion = sign_deletion(note, institute.uri, *signer_of(institute)).value();
  EXPECT_EQ(verify_deletion(deletion, institute.uri, key_of(institute)).value(), note);
  EXPECT_FALSE(verify_receipt(deletion, institute.uri, key_of(institute)));
  const auto sent = sign_receipt(receipt(), institute.uri, *signer_of(institute)).value();
  EXPECT_FALSE(verify_deletion(sent, institute.uri, key_of(institute)));
}

}  // namespace
}  // namespace tally::transfer
