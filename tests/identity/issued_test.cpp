// What an authority hands back, in any order, becomes the files of a connector's folder.
#include "tally/identity/issued.hpp"

#include <gtest/gtest.h>

#include "tally/identity/enrolment.hpp"

#include "support/test_pki.hpp"

namespace tally::identity {
namespace {

using testing::KeyAndChain;
using testing::TestAnchor;
using testing::TestPki;

const std::string hospital = "did:web:hospital.example";
constexpr Instant from{1'577'836'800, 0}, until{2'840'140'800, 0};

struct Sorted : ::testing::Test {
  TestPki pki;
  KeyAndChain tls = pki.health.tls(hospital);
  KeyAndChain contract = pki.health.contract(hospital);
  [[nodiscard]] Result<Issued> sort(const std::string& pem) const {
    return sort_issued(pem, tls.key_pem, contract.key_pem);
  }
  [[nodiscard]] std::string code(const std::string& pem) const {
    const auto sorted = sort(pem);
    return sorted ? "good" : sorted.error().message.code;
  }
};

TEST_F(Sorted, EachPartIsKnownByItself) {
  const std::string list = pki.health.crl({}, from, until);
  const auto sorted = sort(
      "Issued for the hospital.\n" + list + contract.chain_pem + pki.health.pem() + tls.chain_pem
  );
  ASSERT_TRUE(sorted) << sorted.error().message.code;
  EXPECT_EQ(sorted->tls.pem, tls.chain_pem);
  EXPECT_EQ(sorted->contract.pem, contract.chain_pem);
  EXPECT_EQ(sorted->tls.der, testing::chain_der(tls.chain_pem));
  EXPECT_EQ(sorted->anchors, pki.health.pem());
  EXPECT_EQ(sorted->lists, list);
  ASSERT_EQ(sorted->named.size(), 1U);
  EXPECT_EQ(sorted->named[0].subject, "CN=Test anchor health");
  EXPECT_EQ(sorted->named[0].not_after, until);
  EXPECT_EQ(sorted->named[0].sha256, to_hex(sha256(testing::chain_der(pki.health.pem()).front())));
}

TEST_F(Sorted, AListAloneIsGood) {
  const auto sorted = sort(pki.health.crl({}, from, until));
  ASSERT_TRUE(sorted);
  EXPECT_TRUE(sorted->tls.pem.empty());
  EXPECT_TRUE(sorted->anchors.empty());
  EXPECT_FALSE(sorted->lists.empty());
}

TEST_F(Sorted, AuthoritiesBetweenStandBehindTheLeaf) {
  TestAnchor between = pki.health.intermediate("ward");
  TestAnchor unused = pki.health.intermediate("kitchen");
  const auto leaf = between.tls(hospital);
  const auto sorted = sort_issued(
      pki.health.pem() +
          unused.tls("did:web:x.example")
              .chain_pem.substr(unused.tls("did:web:x.example").chain_pem.find("-----END") + 26) +
          leaf.chain_pem,
      leaf.key_pem,
      contract.key_pem
  );
  ASSERT_TRUE(sorted) << sorted.error().message.code;
  EXPECT_EQ(sorted->tls.pem, leaf.chain_pem);
  EXPECT_EQ(sorted->named.size(), 1U);
}

TEST_F(Sorted, WhatIsNotOursIsRefused) {
  EXPECT_EQ(code(pki.health.tls(hospital).chain_pem), "identity.issued-stranger");
  EXPECT_EQ(code(tls.chain_pem + std::string(tls.key_pem)), "identity.issued-private-key");
  EXPECT_EQ(code(""), "identity.issued-unreadable");
  EXPECT_EQ(
      code("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
      "identity.issued-unreadable"
  );
  EXPECT_EQ(code(tls.chain_pem.substr(0, 200)), "identity.issued-unreadable");
  EXPECT_EQ(
      sort_issued(tls.chain_pem, "no key", contract.key_pem).error().message.code,
      "identity.key-unreadable"
  );
}

}  // namespace
}  // namespace tally::identity
