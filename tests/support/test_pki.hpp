// A public key infrastructure made in memory for tests: anchors, leaves good and bad, revocation
// lists. Everything but the P-256 keys follows from the seed, so contract chains are the same bytes
// in every run. Errors throw: this is for tests only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tally/core/instant.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/identity/trust.hpp"

namespace tally::testing {

struct KeyAndChain {
  Secret key_pem;
  std::string chain_pem;  // leaf first, without the anchor
  std::string serial;     // decimal, as `crl` takes it
  Bytes leaf_der;
};

struct LeafOptions {
  std::vector<std::string> uris;
  std::vector<std::string> dns_names{"localhost"};
  std::vector<std::string> addresses{"127.0.0.1"};
  std::vector<std::string> countries;  // of the subject
  bool ed25519 = false;
  bool client_auth = true;
  bool server_auth = true;
  Instant not_before{};  // zero: the anchor's
  Instant not_after{};   // zero: the anchor's
};

class TestAnchor {
 public:
  // An Ed25519 root; keys and serial numbers follow from `name` and `seed`.
  TestAnchor(const std::string& name, std::uint64_t seed, Instant not_before, Instant not_after);
  ~TestAnchor();
  TestAnchor(TestAnchor&&) noexcept;
  TestAnchor& operator=(TestAnchor&&) noexcept;

  [[nodiscard]] std::string pem() const;
  KeyAndChain issue(const LeafOptions& options);
  KeyAndChain tls(const std::string& uri);       // P-256, both usages, localhost
  KeyAndChain contract(const std::string& uri);  // Ed25519, digitalSignature, no extended usage
  // An intermediate CA under this anchor; its leaves' chains hold both certificates.
  TestAnchor intermediate(const std::string& name);
  // A CA certificate of this anchor for the name and key of `other`.
  Bytes cross_sign(const TestAnchor& other);
  [[nodiscard]] std::string crl(
      const std::vector<std::string>& revoked_serials, Instant this_update, Instant next_update
  ) const;

 private:
  struct State;
  explicit TestAnchor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Two anchors as the demonstration has them, valid from 2020 to 2060, of the domains "health" and
// "city".
struct TestPki {
  explicit TestPki(std::uint64_t seed = 1);
  TestAnchor health;
  TestAnchor city;
  // Both domains, every "did:web:" URI allowed, empty lists, required.
  [[nodiscard]] std::vector<identity::TrustDomainConfig> domains() const;
  [[nodiscard]] std::shared_ptr<const identity::TrustStore> trust() const;
};

// The certificates of a PEM text.
std::vector<Bytes> chain_der(const std::string& chain_pem);
std::shared_ptr<const identity::ContractSigner> load_signer(const KeyAndChain& contract);

}  // namespace tally::testing
