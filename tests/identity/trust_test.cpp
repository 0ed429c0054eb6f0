#include "tally/identity/trust.hpp"

#include <cstdlib>
#include <functional>

#include <gtest/gtest.h>

#include "tally/identity/contract_key.hpp"
#include "tally/identity/enrolment.hpp"

#include "support/temp_dir.hpp"
#include "support/test_pki.hpp"

namespace tally::identity {
namespace {

using testing::KeyAndChain;
using testing::LeafOptions;
using testing::TestAnchor;
using testing::TestPki;

constexpr Instant now{1'767'225'600, 0};  // 2026-01-01
constexpr Nanos day = seconds(24L * 3600);
const std::string hospital = "did:web:hospital.example";

std::vector<Bytes> der(const KeyAndChain& leaf) {
  return {leaf.leaf_der};
}

std::shared_ptr<const TrustStore> store_of(std::vector<TrustDomainConfig> domains) {
  auto store = TrustStore::build(std::move(domains));
  EXPECT_TRUE(store) << (store ? "" : store.error().message.code);
  return store ? *store : nullptr;
}

std::string code_of(const Result<PeerIdentity>& result) {
  return result ? "good" : result.error().message.code;
}

TEST(Trust, AGoodChainProvesDomainAndUri) {
  TestPki pki;
  const KeyAndChain leaf = pki.health.tls(hospital);
  const auto identity = pki.trust()->verify(der(leaf), Purpose::client, now);
  ASSERT_TRUE(identity) << identity.error().message.code;
  EXPECT_EQ(identity->party, (PartyId{"health", hospital}));
  EXPECT_EQ(identity->certificate_sha256, to_hex(sha256(leaf.leaf_der)));
  EXPECT_EQ(identity->crl_state, "checked 2020-01-01T00:00:00Z…2060-01-01T00:00:00Z");
  EXPECT_EQ(format_seconds(identity->not_after), "2060-01-01T00:00:00Z");
}

TEST(Trust, TheSameUriUnderAnotherAnchorIsAnotherParty) {
  TestPki pki;
  const auto trust = pki.trust();
  const auto a = trust->verify(der(pki.health.tls(hospital)), Purpose::client, now);
  const auto b = trust->verify(der(pki.city.tls(hospital)), Purpose::client, now);
  ASSERT_TRUE(a && b);
  EXPECT_NE(a->party, b->party);
}

struct BadLeaf {
  std::string name;
  std::function<std::vector<Bytes>(TestPki&)> make;
  std::string code;
  Purpose purpose = Purpose::client;
};

LeafOptions with_uris(std::vector<std::string> uris) {
  LeafOptions options;
  options.uris = std::move(uris);
  return options;
}

TEST(Trust, TheSubjectIsKnownAsTheAuthorityWroteIt) {
  TestPki pki;
  LeafOptions options = with_uris({hospital});
  options.countries = {"CN", "DE"};
  const auto identity = pki.trust()->verify(der(pki.health.issue(options)), Purpose::client, now);
  ASSERT_TRUE(identity) << identity.error().message.code;
  EXPECT_EQ(identity->subject, (SubjectAttributes{{"C", "CN"}, {"C", "DE"}}));
  EXPECT_EQ(identity->viewer().party, identity->party);
  EXPECT_EQ(identity->viewer().subject, identity->subject);
}

TEST(Trust, EachBadChainIsRefusedForItsOwnReason) {
  const std::vector<BadLeaf> cases{
      {"none", [](TestPki&) { return std::vector<Bytes>{}; }, "identity.no-certificate"},
      {"garbage",
       [](TestPki&) {
         return std::vector<Bytes>{{1, 2, 3}};
       },
       "identity.certificate-malformed"},
      {"trailing byte",
       [](TestPki& pki) {
         auto chain = der(pki.health.tls(hospital));
         chain[0].push_back(0);
         return chain;
       },
       "identity.certificate-malformed"},
      {"too many",
       [](TestPki& pki) { return std::vector<Bytes>(9, pki.health.tls(hospital).leaf_der); },
       "identity.certificate-malformed"},
      {"expired",
       [](TestPki& pki) {
         auto options = with_uris({hospital});
         options.not_after = now + -day;
         return der(pki.health.issue(options));
       },
       "identity.expired"},
      {"not yet",
       [](TestPki& pki) {
         auto options = with_uris({hospital});
         options.not_before = now + day;
         return der(pki.health.issue(options));
       },
       "identity.not-yet-valid"},
      {"stranger",
       [](TestPki&) {
         TestAnchor other("other", 7, {1'577'836'800, 0}, {2'840'140'800, 0});
         return der(other.tls(hospital));
       },
       "identity.unknown-anchor"},
      {"an anchor of the same name with another key",
       [](TestPki&) {
         TestAnchor other("health", 99, {1'577'836'800, 0}, {2'840'140'800, 0});
         return der(other.tls(hospital));
       },
       "identity.unknown-anchor"},
      {"two URIs",
       [](TestPki& pki) {
         return der(pki.health.issue(with_uris({hospital, "did:web:b.example"})));
       },
       "identity.several-uris"},
      {"the same URI twice",
       [](TestPki& pki) {
         return der(pki.health.issue(with_uris({hospital, hospital})));
       },
       "identity.several-uris"},
      {"no URI",
       [](TestPki& pki) { return der(pki.health.issue(with_uris({}))); },
       "identity.no-uri"},
      {"no names at all",
       [](TestPki& pki) {
         LeafOptions options;
         options.dns_names.clear();
         options.addresses.clear();
         return der(pki.health.issue(options));
       },
       "identity.no-uri"},
      {"NUL in the URI",
       [](TestPki& pki) {
         return der(pki.health.issue(with_uris({std::string("did:web:a\0b.example", 19)})));
       },
       "identity.uri-malformed"},
      {"blank in the URI",
       [](TestPki& pki) { return der(pki.health.issue(with_uris({"did:web:a b"}))); },
       "identity.uri-malformed"},
      {"no scheme",
       [](TestPki& pki) { return der(pki.health.issue(with_uris({"hospital.example"}))); },
       "identity.uri-malformed"},
      {"other prefix",
       [](TestPki& pki) { return der(pki.health.issue(with_uris({"https://hospital.example"}))); },
       "identity.uri-not-allowed"},
      {"server certificate as client",
       [](TestPki& pki) {
         auto options = with_uris({hospital});
         options.client_auth = false;
         return der(pki.health.issue(options));
       },
       "identity.wrong-purpose"},
      {"client certificate as server",
       [](TestPki& pki) {
         auto options = with_uris({hospital});
         options.server_auth = false;
         return der(pki.health.issue(options));
       },
       "identity.wrong-purpose",
       Purpose::server},
      {"contract certificate as client",
       [](TestPki& pki) { return der(pki.health.contract(hospital)); },
       "identity.wrong-purpose"},
      {"TLS certificate as contract certificate",
       [](TestPki& pki) { return der(pki.health.tls(hospital)); },
       "identity.wrong-purpose",
       Purpose::contract},
      {"contract certificate of another kind of key",
       [](TestPki& pki) {
         auto options = with_uris({hospital});
         options.client_auth = options.server_auth = false;
         return der(pki.health.issue(options));
       },
       "identity.wrong-key",
       Purpose::contract},
      {"leaf without its intermediate",
       [](TestPki& pki) {
         TestAnchor ca = pki.health.intermediate("ward");
         const auto leaf = ca.tls(hospital);
         return std::vector<Bytes>{leaf.leaf_der};
       },
       "identity.unknown-anchor"},
  };
  for (const BadLeaf& one : cases) {
    TestPki pki;
    const auto trust = pki.trust();
    EXPECT_EQ(code_of(trust->verify(one.make(pki), one.purpose, now)), one.code) << one.name;
  }
}

TEST(Trust, ContractCertificatesProveTheSameParty) {
  TestPki pki;
  const auto identity =
      pki.trust()->verify(der(pki.health.contract(hospital)), Purpose::contract, now);
  ASSERT_TRUE(identity) << identity.error().message.code;
  EXPECT_EQ(identity->party, (PartyId{"health", hospital}));
}

TEST(Trust, AChainThatEndsInTwoDomainsProvesNobody) {
  TestPki pki;
  const std::vector<Bytes> chain{
      pki.health.tls(hospital).leaf_der, pki.city.cross_sign(pki.health)};
  const auto trust = pki.trust();
  EXPECT_EQ(code_of(trust->verify(chain, Purpose::client, now)), "identity.ambiguous-anchor");
  EXPECT_EQ(code_of(trust->verify({chain.data(), 1}, Purpose::client, now)), "good");
}

TEST(Trust, UriPrefixesEndAtABoundary) {
  struct Case {
    std::string prefix, uri;
    bool allowed;
  };
  const std::vector<Case> cases{
      {"did:web:a.example", "did:web:a.example", true},
      {"did:web:a.example", "did:web:a.example:ward", true},
      {"did:web:a.example", "did:web:a.example.net", false},
      {"did:web:a.example", "did:web:a.exampl", false},
      {"did:web:", "did:web:b.example", true},
      {"https://a.example/", "https://a.example/x", true},
      {"https://a.example", "https://a.example/x", true},
      {"https://a.example", "https://a.example.evil/x", false},
      {"", "did:web:a.example", false},
      {"DID:WEB:a.example", "did:web:a.example", false},
  };
  for (const Case& one : cases) {
    TestPki pki;
    auto domains = pki.domains();
    domains[0].uri_prefixes = {one.prefix};
    const auto trust = store_of(std::move(domains));
    const std::string code =
        code_of(trust->verify(der(pki.health.tls(one.uri)), Purpose::client, now));
    EXPECT_EQ(code, one.allowed ? "good" : "identity.uri-not-allowed")
        << one.prefix << " " << one.uri;
  }
}

TEST(Trust, RevocationIsCheckedPerAnchor) {
  TestPki pki;
  const KeyAndChain leaf = pki.health.tls(hospital);
  const KeyAndChain other = pki.health.tls("did:web:other.example");
  auto domains = pki.domains();
  domains[0].crl_pem = {pki.health.crl({leaf.serial}, now + -day, now + day)};
  const auto trust = store_of(domains);
  EXPECT_EQ(code_of(trust->verify(der(leaf), Purpose::client, now)), "identity.revoked");
  EXPECT_EQ(code_of(trust->verify(der(other), Purpose::client, now)), "good");
  EXPECT_EQ(code_of(trust->verify(der(pki.city.tls(hospital)), Purpose::client, now)), "good");

  domains[0].crl = CrlPolicy::none;
  domains[0].crl_pem.clear();
  const auto unchecked = store_of(domains)->verify(der(leaf), Purpose::client, now);
  ASSERT_TRUE(unchecked);
  EXPECT_EQ(unchecked->crl_state, "none");
}

TEST(Trust, AChainThatWasGoodIsGoodForItsTimeAndItsPurposeAlone) {
  TestPki pki;
  const KeyAndChain leaf = pki.health.tls(hospital);
  auto domains = pki.domains();
  domains[0].crl_pem = {pki.health.crl({}, now + -day, now + day)};
  const auto trust = store_of(domains);
  const auto found = trust->verify(der(leaf), Purpose::client, now);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->good_until, now + day);
  const auto at = [&](Instant when) {
    return code_of(trust->verify(der(leaf), Purpose::client, when));
  };
  EXPECT_EQ(at(now + seconds(1)), "good");
  EXPECT_EQ(at(now + day + seconds(1)), "identity.crl-stale");
  EXPECT_EQ(at(found->not_after + seconds(1)), "identity.expired");
  // A clock that is set back finds it as it was then.
  EXPECT_EQ(at(now + -day * 3650), "identity.not-yet-valid");
  EXPECT_EQ(code_of(trust->verify(der(leaf), Purpose::contract, now)), "identity.wrong-purpose");
  EXPECT_EQ(at(now), "good");
}

TEST(Trust, AMissingOrStaleListRefusesThatAnchorsPeers) {
  TestPki pki;
  const KeyAndChain leaf = pki.health.tls(hospital);
  auto domains = pki.domains();
  domains[0].crl_pem.clear();
  EXPECT_EQ(
      code_of(store_of(domains)->verify(der(leaf), Purpose::client, now)), "identity.crl-missing"
  );

  domains[0].crl_pem = {pki.health.crl({}, now + -2 * day, now + -day)};
  EXPECT_EQ(
      code_of(store_of(domains)->verify(der(leaf), Purpose::client, now)), "identity.crl-stale"
  );
  EXPECT_EQ(
      code_of(store_of(domains)->verify(der(pki.city.tls(hospital)), Purpose::client, now)), "good"
  );

  domains[0].crl_grace = 2 * day;
  const auto graced = store_of(domains)->verify(der(leaf), Purpose::client, now);
  ASSERT_TRUE(graced);
  EXPECT_EQ(graced->good_until, now + day);

  domains[0].crl_pem = {pki.health.crl({}, now + day, now + 2 * day)};
  EXPECT_EQ(
      code_of(store_of(domains)->verify(der(leaf), Purpose::client, now)), "identity.crl-invalid"
  );
}

TEST(Trust, TheNewestListCounts) {
  TestPki pki;
  const KeyAndChain leaf = pki.health.tls(hospital);
  const std::string old_list = pki.health.crl({}, now + -2 * day, now + day);
  const std::string new_list = pki.health.crl({leaf.serial}, now + -day, now + day);
  for (const auto& lists :
       {std::vector{old_list, new_list}, {new_list, old_list}, {old_list + new_list}}) {
    auto domains = pki.domains();
    domains[0].crl_pem = lists;
    EXPECT_EQ(
        code_of(store_of(domains)->verify(der(leaf), Purpose::client, now)), "identity.revoked"
    );
  }
}

TEST(Trust, IntermediatesAreCheckedToo) {
  TestPki pki;
  TestAnchor ward = pki.health.intermediate("ward");
  const KeyAndChain leaf = ward.tls(hospital);
  const auto chain = testing::chain_der(leaf.chain_pem);
  ASSERT_EQ(chain.size(), 2u);
  auto domains = pki.domains();
  EXPECT_EQ(
      code_of(store_of(domains)->verify(chain, Purpose::client, now)), "identity.crl-missing"
  );
  domains[0].crl_pem.push_back(ward.crl({}, now + -day, now + day));
  EXPECT_EQ(code_of(store_of(domains)->verify(chain, Purpose::client, now)), "good");
  domains[0].crl_pem[0] = pki.health.crl({"2"}, now + -day, now + day);  // the intermediate
  EXPECT_EQ(code_of(store_of(domains)->verify(chain, Purpose::client, now)), "identity.revoked");
  // A list in the intermediate's name that it did not sign is no list.
  TestAnchor forged("x", 3, {1'577'836'800, 0}, {2'840'140'800, 0});
  TestAnchor false_ward = forged.intermediate("ward");
  domains = pki.domains();
  domains[0].crl_pem.push_back(false_ward.crl({}, now + -day, now + day));
  EXPECT_EQ(
      code_of(store_of(domains)->verify(chain, Purpose::client, now)), "identity.crl-missing"
  );
}

TEST(Trust, AMisconfiguredStoreIsNotBuilt) {
  struct Case {
    std::function<void(std::vector<TrustDomainConfig>&, TestPki&)> spoil;
    std::string code;
  };
  const std::vector<Case> cases{
      {[](auto& d, auto&) { d[1].domain = d[0].domain; }, "identity.trust-domain-twice"},
      {[](auto& d, auto&) { d[0].domain = "a|b"; }, "identity.trust-domain-name"},
      {[](auto& d, auto&) { d[0].domain = ""; }, "identity.trust-domain-name"},
      {[](auto& d, auto&) { d[0].anchors_pem = ""; }, "identity.trust-anchors"},
      {[](auto& d, auto&) { d[0].anchors_pem += "-----BEGIN CERTIFICATE-----\nAAAA\n"; },
       "identity.trust-anchors"},
      {[](auto& d, auto&) {
         d[1].anchors_pem = d[0].anchors_pem;
         d[1].crl_pem.clear();
       },
       "identity.trust-anchor-twice"},
      {[](auto& d, TestPki& pki) { d[0].anchors_pem = pki.health.tls(hospital).chain_pem; },
       "identity.trust-anchor-no-ca"},
      {[](auto& d, auto&) { d[0].crl_pem = {"no list"}; }, "identity.trust-crl"},
      {[](auto& d, auto&) { d[0].crl = CrlPolicy::none; }, "identity.trust-crl-unused"},
      {[](auto& d, auto&) {
         TestAnchor forged("health", 77, {1'577'836'800, 0}, {2'840'140'800, 0});
         d[0].crl_pem = {forged.crl({}, now, now + day)};
       },
       "identity.trust-crl-signature"},
  };
  for (const Case& one : cases) {
    TestPki pki;
    auto domains = pki.domains();
    one.spoil(domains, pki);
    const auto store = TrustStore::build(std::move(domains));
    ASSERT_FALSE(store) << one.code;
    EXPECT_EQ(store.error().message.code, one.code);
    EXPECT_EQ(store.error().kind, ErrorKind::invalid);
  }
}

TEST(Trust, NoByteOfACertificateMayChange) {
  TestPki pki;
  const auto trust = pki.trust();
  const Bytes good = pki.health.contract(hospital).leaf_der;
  ASSERT_TRUE(trust->verify(std::vector<Bytes>{good}, Purpose::contract, now));
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 0x01;
    EXPECT_FALSE(trust->verify(std::vector<Bytes>{bad}, Purpose::contract, now)) << i;
  }
}

TEST(Trust, TheScriptForTrialsMakesWhatWeAccept) {
  const testing::TempDir dir;
  const std::string command = TALLY_SOURCE_DIR "/certs/make-test-pki " + dir.path().string() +
                              " health:did:web:hospital.example city:did:web:broker.example" +
                              " >/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::vector<TrustDomainConfig> domains;
  for (const std::string name : {"health", "city"}) {
    TrustDomainConfig domain;
    domain.domain = name;
    domain.anchors_pem = testing::read_file(dir / ("anchors/" + name + "/ca.pem"));
    domain.crl_pem = {testing::read_file(dir / ("anchors/" + name + "/crl.pem"))};
    domain.uri_prefixes = {"did:web:"};
    domains.push_back(domain);
  }
  const auto trust = store_of(std::move(domains));
  ASSERT_TRUE(trust);
  const Instant made = certificate_facts(testing::read_file(dir / "hospital/tls.pem"))->not_before;
  for (const Purpose purpose : {Purpose::client, Purpose::server, Purpose::contract}) {
    const std::string file = purpose == Purpose::contract ? "contract.pem" : "tls.pem";
    const auto chain = testing::chain_der(testing::read_file(dir / ("hospital/" + file)));
    const auto identity = trust->verify(chain, purpose, made + seconds(60));
    ASSERT_TRUE(identity) << identity.error().message.code;
    EXPECT_EQ(identity->party, (PartyId{"health", hospital}));
  }
  EXPECT_TRUE(ContractSigner::load(
      testing::read_file(dir / "broker/contract.key"),
      testing::read_file(dir / "broker/contract.pem")
  ));
}

TEST(TrustSource, AReplacementIsANewGeneration) {
  TestPki pki;
  TrustSource source(pki.trust());
  const auto before = source.current();
  source.replace(pki.trust());
  EXPECT_NE(source.generation(), before.generation);
  EXPECT_NE(source.current().store, before.store);
}

TEST(Enrolment, RequestsAndKeysAreReadable) {
  for (const KeyKind kind : {KeyKind::p256, KeyKind::ed25519}) {
    const auto key = generate_key_pem(kind);
    ASSERT_TRUE(key);
    CertificateRequest request;
    request.common_name = "Hospital, Test = yes";
    request.uri = hospital;
    request.dns_names = {"localhost,DNS:evil.example"};
    request.addresses = {"127.0.0.1"};
    request.tls = kind == KeyKind::p256;
    const auto made = make_request_pem(*key, request);
    ASSERT_TRUE(made) << made.error().message.code;
    EXPECT_TRUE(made->starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
    request.addresses = {"not an address"};
    request.tls = true;
    EXPECT_FALSE(make_request_pem(*key, request));
  }
  EXPECT_FALSE(make_request_pem("no key", {}));
}

TEST(Enrolment, FactsOfACertificateAndItsKey) {
  TestPki pki;
  const KeyAndChain a = pki.health.tls(hospital);
  const KeyAndChain b = pki.health.tls(hospital);
  const auto facts = certificate_facts(a.chain_pem);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->uris, std::vector{hospital});
  EXPECT_TRUE(check_key_of_certificate(a.key_pem, a.chain_pem));
  EXPECT_EQ(
      check_key_of_certificate(a.key_pem, b.chain_pem).error().message.code,
      "identity.key-not-of-certificate"
  );
  EXPECT_FALSE(certificate_facts("nothing"));
}

}  // namespace
}  // namespace tally::identity
