// Chains that were archived: judged as of then, whatever the time is now.
#include "tally/identity/archived_chain.hpp"

#include <gtest/gtest.h>

#include "support/test_pki.hpp"

namespace tally::identity {
namespace {

using testing::KeyAndChain;
using testing::LeafOptions;
using testing::TestAnchor;
using testing::TestPki;

const std::string hospital = "did:web:hospital.example";
// Long past on any machine that runs this.
constexpr Instant begin{1'577'836'800, 0};  // 2020-01-01
constexpr Instant then{1'583'020'800, 0};   // 2020-03-01
constexpr Instant end{1'585'699'200, 0};    // 2020-04-01
constexpr Nanos day = seconds(24L * 3600);

Bytes der_of_list(const std::string& pem) {
  std::string body;
  for (std::size_t at = 0; at < pem.size();) {
    const std::size_t next = pem.find('\n', at);
    const std::string line = pem.substr(at, next - at);
    if (!line.starts_with("---")) body += line;
    if (next == std::string::npos) break;
    at = next + 1;
  }
  return *from_base64(body);
}

struct Archived {
  Archived() {
    LeafOptions options;
    options.uris = {hospital};
    options.dns_names = {};
    options.addresses = {};
    options.ed25519 = true;
    options.client_auth = options.server_auth = false;
    options.not_before = begin;
    options.not_after = end;
    leaf = anchor.issue(options);
  }
  std::string judge(
      Instant at,
      const std::vector<std::string>& lists = {},
      const std::string& uri = hospital,
      const std::string& anchors = {}
  ) {
    std::vector<Bytes> der;
    for (const auto& list : lists) der.push_back(der_of_list(list));
    const std::vector<Bytes> chain{leaf.leaf_der};
    const auto found =
        verify_archived_chain(chain, der, anchors.empty() ? anchor.pem() : anchors, uri, at);
    return found ? "good" : found.error().message.code;
  }
  TestAnchor anchor{"gone", 3, begin, end};
  KeyAndChain leaf;
};

TEST(ArchivedChain, HoldsAtItsTimeThoughEverythingHasExpired) {
  Archived archived;
  EXPECT_EQ(archived.judge(then), "good");
  EXPECT_EQ(archived.judge(end + day), "identity.expired");
  EXPECT_EQ(archived.judge(begin + -day), "identity.not-yet-valid");
}

TEST(ArchivedChain, NamesItsPartyAndItsAnchor) {
  Archived archived;
  EXPECT_EQ(archived.judge(then, {}, "did:web:institute.example"), "identity.uri-not-allowed");
  EXPECT_EQ(archived.judge(then, {}, "did:web:hospital"), "identity.uri-not-allowed");
  TestPki other;
  EXPECT_EQ(archived.judge(then, {}, hospital, other.health.pem()), "identity.unknown-anchor");
}

TEST(ArchivedChain, ListsAreOfThatTimeAndByTheAnchor) {
  Archived archived;
  const auto list = [&](std::vector<std::string> revoked, Instant from, Instant to) {
    return archived.anchor.crl(revoked, from, to);
  };
  EXPECT_EQ(archived.judge(then, {list({}, then + -day, then + day)}), "good");
  EXPECT_EQ(
      archived.judge(then, {list({archived.leaf.serial}, then + -day, then + day)}),
      "identity.revoked"
  );
  EXPECT_EQ(archived.judge(then, {list({}, begin, then + -day)}), "identity.crl-stale");
  EXPECT_EQ(archived.judge(then, {list({}, then + day, end)}), "identity.crl-invalid");
  TestPki other;
  EXPECT_EQ(
      archived.judge(then, {other.health.crl({}, then + -day, then + day)}), "identity.crl-missing"
  );
}

TEST(ArchivedChain, AnchorsMustBeAnchors) {
  EXPECT_FALSE(check_anchors(""));
  EXPECT_FALSE(check_anchors("nothing"));
  Archived archived;
  EXPECT_FALSE(check_anchors(archived.leaf.chain_pem));
  EXPECT_TRUE(check_anchors(archived.anchor.pem()));
}

}  // namespace
}  // namespace tally::identity
