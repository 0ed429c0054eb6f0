#include "tally/identity/message_signature.hpp"

#include <functional>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "support/test_pki.hpp"

namespace tally::identity {
namespace {

using testing::TestPki;

constexpr Instant now{1'767'225'600, 0};
const std::string hospital = "did:web:hospital.example";
const PartyId hospital_party{"health", hospital};

struct Fixture {
  TestPki pki;
  std::shared_ptr<const TrustStore> trust = pki.trust();
  std::shared_ptr<const ContractSigner> signer =
      testing::load_signer(pki.health.contract(hospital));
  HttpRequest request;
  SigningInput input;

  Fixture() {
    request.method = "POST";
    request.target = "/negotiations/1/agreement";
    request.headers.set("Content-Type", "application/json");
    request.body = R"({"@type":"ContractAgreementMessage"})";
    input.agreement = sha256("agreement");
    input.created = now;
    input.nonce = "7d8c1e52-9c1d-4c4e-8d0a-0f6f0e6d9a11";
  }
  KeyStatement statement() const {
    return {hospital, "hospital.example/log", "vkey", "", now + -seconds(60), now + seconds(3600)};
  }
  std::string outcome(const HttpRequest& message, Instant at = now) const {
    const auto result = verify_message(message, *trust, hospital_party, at);
    return result ? "good" : result.error().message.code;
  }
};

TEST(MessageSignature, WhatIsSignedVerifiesAndComesBackWhole) {
  Fixture f;
  f.input.enforces = sha256("rules");
  f.input.key_statement = sign_key_statement(f.statement(), *f.signer);
  const MessageSignature made = sign_message(f.request, *f.signer, f.input);
  EXPECT_TRUE(has_message_signature(f.request));
  const auto seen = verify_message(f.request, *f.trust, hospital_party, now + seconds(3));
  ASSERT_TRUE(seen) << seen.error().message.code;
  EXPECT_EQ(seen->signer, hospital_party);
  EXPECT_EQ(seen->agreement, sha256("agreement"));
  EXPECT_EQ(seen->enforces, sha256("rules"));
  EXPECT_EQ(seen->signature_base, made.signature_base);
  EXPECT_EQ(seen->signature, made.signature);
  EXPECT_EQ(seen->chain, f.signer->chain());
  EXPECT_EQ(seen->key_statement, f.statement());
  EXPECT_EQ(seen->crl_state, "checked 2020-01-01T00:00:00Z…2060-01-01T00:00:00Z");

  const auto archive = nlohmann::json::parse(to_archive_json(*seen));
  EXPECT_EQ(archive["party"], hospital);
  EXPECT_EQ(archive["chain"].size(), 1u);
  EXPECT_TRUE(archive.contains("keyStatement"));
}

TEST(MessageSignature, AnArchiveIsCheckedAgainAloneAndNoMemberCanBeChanged) {
  Fixture f;
  f.input.enforces = sha256("rules");
  f.input.key_statement = sign_key_statement(f.statement(), *f.signer);
  sign_message(f.request, *f.signer, f.input);
  const auto seen = verify_message(f.request, *f.trust, hospital_party, now);
  ASSERT_TRUE(seen);
  const std::string text = to_archive_json(*seen);
  const auto read = verify_archive(text);
  ASSERT_TRUE(read) << render(read.error().message, Lang::en);
  EXPECT_EQ(read->agreement, seen->agreement);
  EXPECT_EQ(read->enforces, seen->enforces);
  EXPECT_EQ(read->created, seen->created);
  EXPECT_EQ(read->chain, seen->chain);
  EXPECT_EQ(read->lists, seen->lists);
  EXPECT_EQ(read->lists.size(), 1U);
  EXPECT_EQ(read->key_statement, seen->key_statement);
  EXPECT_EQ(to_archive_json(*read).size(), text.size());

  const auto whole = nlohmann::json::parse(text);
  const auto taken = [](const nlohmann::json& archive) {
    return verify_archive(tally::to_jcs(archive)).has_value();
  };
  // Words of the archive's keeper, which no signature of the signer covers.
  const std::set<std::string> unsigned_members{"body", "crlState", "domain", "lists", "party"};
  for (const auto& [key, value] : whole.items()) {
    if (unsigned_members.contains(key)) continue;
    auto other = whole;
    if (value.is_string()) {
      std::string changed = value.get<std::string>();
      changed[changed.size() / 2] = changed[changed.size() / 2] == 'A' ? 'B' : 'A';
      other[key] = changed;
      EXPECT_FALSE(taken(other)) << key;
    }
    other = whole;
    other.erase(key);
    EXPECT_EQ(taken(other), key == "keyStatement") << key;
  }
  auto other = whole;
  other["keyStatement"]["signature"] = to_base64(Bytes(64, 1));
  EXPECT_FALSE(taken(other));
  EXPECT_FALSE(verify_archive(text + " "));
  EXPECT_FALSE(verify_archive("{}"));
}

TEST(MessageSignature, TheBaseIsTheOneOfRfc9421) {
  Fixture f;
  const MessageSignature made = sign_message(f.request, *f.signer, f.input);
  const std::string params =
      "(\"@method\" \"content-digest\" \"tally-agreement\");created=1767225600;keyid=\"" +
      f.signer->keyid() + "\";nonce=\"" + f.input.nonce + "\";tag=\"tally-agreement\"";
  EXPECT_EQ(
      made.signature_base,
      "\"@method\": POST\n\"content-digest\": sha-256=:" + to_base64(sha256(f.request.body)) +
          ":\n\"tally-agreement\": :" + to_base64(sha256("agreement")) +
          ":\n\"@signature-params\": " + params
  );
  EXPECT_EQ(made.signature_input, "tally=" + params);
}

struct Attack {
  std::string name;
  std::function<void(Fixture&, HttpRequest&)> change;
  std::string code;
};

std::string value_of(const HttpRequest& request, std::string_view name) {
  return std::string(*request.headers.get(name));
}

void replace_in(
    HttpRequest& request, const std::string& name, const std::string& what, const std::string& with
) {
  std::string value = value_of(request, name);
  const auto at = value.find(what);
  ASSERT_NE(at, std::string::npos);
  value.replace(at, what.size(), with);
  request.headers.set(name, value);
}

HttpRequest without(const HttpRequest& request, std::string_view name) {
  HttpRequest copy;
  copy.method = request.method;
  copy.target = request.target;
  copy.body = request.body;
  for (const auto& [field, value] : request.headers.all()) {
    if (field != name) copy.headers.add(field, value);
  }
  return copy;
}

TEST(MessageSignature, EachChangeIsRefusedForItsReason) {
  const std::vector<Attack> attacks{
      {"body", [](auto&, auto& m) { m.body += " "; }, "identity.signature-wrong-digest"},
      {"body with its digest",
       [](auto&, auto& m) {
         m.body += " ";
         m.headers.set("Content-Digest", content_digest(m.body));
       },
       "identity.signature-wrong"},
      {"method", [](auto&, auto& m) { m.method = "PUT"; }, "identity.signature-wrong"},
      {"agreement",
       [](auto&, auto& m) {
         m.headers.set("Tally-Agreement", ":" + to_base64(sha256("other")) + ":");
       },
       "identity.signature-wrong"},
      {"enforces added",
       [](auto&, auto& m) {
         m.headers.set("Tally-Enforces", ":" + to_base64(sha256("rules")) + ":");
       },
       "identity.signature-not-covered"},
      {"agreement not covered",
       [](auto&, auto& m) { replace_in(m, "Signature-Input", " \"tally-agreement\"", ""); },
       "identity.signature-not-covered"},
      {"created later",
       [](auto&, auto& m) { replace_in(m, "Signature-Input", "1767225600", "1767225601"); },
       "identity.signature-wrong"},
      {"another tag",
       [](auto&, auto& m) { replace_in(m, "Signature-Input", "tag=\"tally-", "tag=\"x-"); },
       "identity.signature-missing"},
      {"another algorithm",
       [](auto&, auto& m) {
         replace_in(m, "Signature-Input", ";keyid", ";alg=\"hmac-sha256\";keyid");
       },
       "identity.signature-malformed"},
      {"two agreement headers",
       [](auto&, auto& m) { m.headers.add("tally-agreement", value_of(m, "Tally-Agreement")); },
       "identity.signature-malformed"},
      {"two of our signatures",
       [](auto&, auto& m) {
         const std::string input = value_of(m, "Signature-Input");
         m.headers.set("Signature-Input", input + ", second" + input.substr(5));
       },
       "identity.signature-malformed"},
      {"no chain",
       [](auto&, auto& m) { m = without(m, "Tally-Contract-Chain"); },
       "identity.signature-malformed"},
      {"no signature",
       [](auto&, auto& m) { m = without(m, "Signature"); },
       "identity.signature-malformed"},
      {"no input",
       [](auto&, auto& m) { m = without(m, "Signature-Input"); },
       "identity.signature-missing"},
      {"no digest",
       [](auto&, auto& m) { m = without(m, "Content-Digest"); },
       "identity.signature-malformed"},
      {"another certificate of the same party",
       [](auto& f, auto& m) {
         const auto other = f.pki.health.contract(hospital);
         m.headers.set("Tally-Contract-Chain", ":" + to_base64(other.leaf_der) + ":");
       },
       "identity.signature-key-mismatch"},
      {"signed by another party",
       [](auto& f, auto& m) {
         const auto other = testing::load_signer(f.pki.health.contract("did:web:other.example"));
         sign_message(m, *other, f.input);
       },
       "identity.signature-other-party"},
      {"signed by the same URI under the other anchor",
       [](auto& f, auto& m) {
         const auto other = testing::load_signer(f.pki.city.contract(hospital));
         sign_message(m, *other, f.input);
       },
       "identity.signature-other-party"},
      {"signed under an unknown anchor",
       [](auto& f, auto& m) {
         testing::TestAnchor anchor("x", 3, {1'577'836'800, 0}, {2'840'140'800, 0});
         const auto other = testing::load_signer(anchor.contract(hospital));
         sign_message(m, *other, f.input);
       },
       "identity.unknown-anchor"},
      {"key statement of another key",
       [](auto& f, auto& m) {
         const auto other = testing::load_signer(f.pki.health.contract(hospital));
         f.input.key_statement = sign_key_statement(f.statement(), *other);
         sign_message(m, *f.signer, f.input);
       },
       "identity.key-statement-wrong"},
      {"key statement of another party",
       [](auto& f, auto& m) {
         auto statement = f.statement();
         statement.party = "did:web:other.example";
         f.input.key_statement = sign_key_statement(statement, *f.signer);
         sign_message(m, *f.signer, f.input);
       },
       "identity.key-statement-other-party"},
      {"key statement that has ended",
       [](auto& f, auto& m) {
         auto statement = f.statement();
         statement.not_after = now + -seconds(1);
         f.input.key_statement = sign_key_statement(statement, *f.signer);
         sign_message(m, *f.signer, f.input);
       },
       "identity.key-statement-validity"},
  };
  for (const Attack& attack : attacks) {
    Fixture f;
    sign_message(f.request, *f.signer, f.input);
    ASSERT_EQ(f.outcome(f.request), "good");
    HttpRequest message = f.request;
    attack.change(f, message);
    EXPECT_EQ(f.outcome(message), attack.code) << attack.name;
  }
}

TEST(MessageSignature, AgeIsBounded) {
  Fixture f;
  sign_message(f.request, *f.signer, f.input);
  EXPECT_EQ(f.outcome(f.request, now + seconds(24L * 3600)), "good");
  EXPECT_EQ(f.outcome(f.request, now + seconds(26L * 3600)), "identity.signature-too-old");
  EXPECT_EQ(f.outcome(f.request, now + -seconds(200)), "good");
  EXPECT_EQ(f.outcome(f.request, now + -seconds(400)), "identity.signature-in-future");
}

TEST(MessageSignature, NoByteOfTheSignedHeadersMayChange) {
  Fixture f;
  f.input.enforces = sha256("rules");
  sign_message(f.request, *f.signer, f.input);
  for (const char* name :
       {"Content-Digest",
        "Tally-Agreement",
        "Tally-Enforces",
        "Signature-Input",
        "Signature",
        "Tally-Contract-Chain"}) {
    const std::string value = value_of(f.request, name);
    for (std::size_t i = 0; i < value.size(); ++i) {
      HttpRequest message = f.request;
      std::string changed = value;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      message.headers.set(name, changed);
      EXPECT_NE(f.outcome(message), "good") << name << " " << i;
    }
  }
}

TEST(MessageSignature, OtherPeoplesSignaturesAreNotOurs) {
  Fixture f;
  EXPECT_FALSE(has_message_signature(f.request));
  f.request.headers.set("Signature-Input", "sig1=(\"@method\");created=1;tag=\"other\"");
  EXPECT_FALSE(has_message_signature(f.request));
  EXPECT_EQ(f.outcome(f.request), "identity.signature-missing");
}

}  // namespace
}  // namespace tally::identity
