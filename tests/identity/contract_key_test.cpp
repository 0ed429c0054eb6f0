#include "tally/identity/contract_key.hpp"

#include <gtest/gtest.h>

#include "tally/identity/enrolment.hpp"

#include "support/test_pki.hpp"

namespace tally::identity {
namespace {

using testing::TestPki;

const std::string hospital = "did:web:hospital.example";

TEST(ContractKey, MatchesTheVectorsOfRfc8032) {
  // Section 7.1, TEST 2 and TEST 3: public key, message, signature.
  const struct {
    const char *key, *message, *signature;
  } vectors[] = {
      {"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
       "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
       "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
      {"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
       "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
       "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
  };
  for (const auto& vector : vectors) {
    const Bytes key = *from_hex(vector.key);
    const Bytes message = *from_hex(vector.message);
    Bytes signature = *from_hex(vector.signature);
    EXPECT_TRUE(verify_ed25519(key, message, signature));
    signature[10] ^= 1;
    EXPECT_FALSE(verify_ed25519(key, message, signature));
    EXPECT_FALSE(verify_ed25519({}, message, signature));
    EXPECT_FALSE(verify_ed25519(key, message, {}));
  }
}

TEST(CertificateFacts, NameTheOneCountryOfTheSubject) {
  TestPki pki;
  const auto country = [&pki](std::vector<std::string> countries) {
    testing::LeafOptions options;
    options.countries = std::move(countries);
    return country_of(pki.health.issue(options).leaf_der);
  };
  EXPECT_EQ(country({"DE"}), "DE");
  EXPECT_EQ(country({}), "");
  EXPECT_EQ(country({"DE", "CN"}), "");  // which of them?
  EXPECT_EQ(country({"de"}), "");
  EXPECT_EQ(country_of(as_bytes("no certificate")), "");
}

TEST(ContractKey, SigningIsDeterministicAndVerifies) {
  TestPki a(5);
  TestPki b(5);
  const auto one = testing::load_signer(a.health.contract(hospital));
  const auto two = testing::load_signer(b.health.contract(hospital));
  EXPECT_EQ(one->chain(), two->chain());
  EXPECT_EQ(one->sign("text"), two->sign("text"));
  EXPECT_TRUE(verify_ed25519(one->public_key(), as_bytes("text"), one->sign("text")));
  EXPECT_FALSE(verify_ed25519(one->public_key(), as_bytes("texu"), one->sign("text")));
  EXPECT_EQ(one->keyid(), to_hex(sha256(one->chain().front())));
}

TEST(ContractKey, OnlyAnEd25519KeyOfItsCertificateLoads) {
  TestPki pki;
  const auto contract = pki.health.contract(hospital);
  const auto other = pki.health.contract(hospital);
  const auto tls = pki.health.tls(hospital);
  const auto code = [](const auto& key, const auto& chain) {
    const auto signer = ContractSigner::load(key, chain);
    return signer ? std::string("good") : signer.error().message.code;
  };
  EXPECT_EQ(code(contract.key_pem, contract.chain_pem), "good");
  EXPECT_EQ(code("", contract.chain_pem), "identity.key-unreadable");
  EXPECT_EQ(code(tls.key_pem, tls.chain_pem), "identity.key-not-ed25519");
  EXPECT_EQ(code(contract.key_pem, "x"), "identity.chain-unreadable");
  EXPECT_EQ(code(contract.key_pem, other.chain_pem), "identity.key-not-of-certificate");
}

TEST(KeyStatement, SurvivesItsTextAndNothingElseDoes) {
  KeyStatement statement;
  statement.party = hospital;
  statement.log_origin = "hospital.example/log";
  statement.first_log_vkey = "hospital.example/log+00000000+AAAA";
  statement.not_before = {1'767'225'600, 0};
  statement.not_after = {1'798'761'600, 0};
  const std::string text = to_jcs(statement);
  const auto parsed = parse_key_statement(text);
  ASSERT_TRUE(parsed) << parsed.error().message.code;
  EXPECT_EQ(*parsed, statement);

  const auto replaced = [&](const std::string& what, const std::string& with) {
    std::string changed = text;
    changed.replace(changed.find(what), what.size(), with);
    return changed;
  };
  EXPECT_FALSE(parse_key_statement(" " + text));
  EXPECT_FALSE(parse_key_statement(replaced("tally-key-statement/1", "tally-key-statement/2")));
  EXPECT_FALSE(parse_key_statement(replaced("\"party\"", "\"party2\"")));
  EXPECT_FALSE(parse_key_statement(replaced("2027", "2025")));  // ends before it begins
  EXPECT_FALSE(parse_key_statement(replaced("Z\"", "\"")));     // no zone
  EXPECT_FALSE(parse_key_statement(replaced("{", "{\"a\":\"b\",")));
  EXPECT_FALSE(parse_key_statement("{}"));
  EXPECT_FALSE(parse_key_statement(std::string(10'000, '[')));
}

}  // namespace
}  // namespace tally::identity
