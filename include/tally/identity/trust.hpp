// Which certificate chains prove which party: anchors per trust domain, the URIs each may name,
// revocation lists. A chain proves exactly one party or it proves nothing.
//
// TrustStore is immutable and thread-safe; TrustSource holds the current one and swaps it on
// reload. No host name is compared here: a party is its URI, and `net` decides which hosts it may
// be at.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tally/core/result.hpp"
#include "tally/identity/peer_identity.hpp"

namespace tally::identity {

enum class CrlPolicy { required, none };

struct TrustDomainConfig {
  std::string domain;       // non-empty, of letters, digits, '.', '-', '_'
  std::string anchors_pem;  // one or more CA certificates
  // A URI is allowed if it is one of these, or goes on from one after a ':', '/', '#' or '?'
  // (at the prefix's own end or right behind it). "did:web:a.example" does not allow
  // "did:web:a.example.net". Empty list: nothing is allowed.
  std::vector<std::string> uri_prefixes;
  CrlPolicy crl = CrlPolicy::required;
  std::vector<std::string> crl_pem;  // each text may hold several lists
  Nanos crl_grace = 0;               // how long past nextUpdate a list is still taken
};

// What the leaf must be meant for. client and server need the extended key usage spelt out, so that
// a contract certificate (which has none) never opens a connection.
enum class Purpose {
  client,    // TLS client
  server,    // TLS server
  contract,  // Ed25519 key with digitalSignature; signs agreements and key statements
};

class TrustStore {
 public:
  // Errors: invalid, identity.trust-* (a domain named twice, an anchor in two domains, unreadable
  // PEM, a list in an anchor's name that it did not sign, delta or partitioned lists).
  static Result<std::shared_ptr<const TrustStore>> build(std::vector<TrustDomainConfig> domains);

  ~TrustStore();
  TrustStore(const TrustStore&) = delete;
  TrustStore& operator=(const TrustStore&) = delete;

  // Errors: unauthenticated, with one of identity.no-certificate, certificate-malformed,
  // unknown-anchor, expired, not-yet-valid, wrong-purpose, wrong-key, chain-invalid, no-uri,
  // several-uris, uri-malformed, uri-not-allowed, revoked, crl-missing, crl-stale, crl-invalid.
  [[nodiscard]] Result<PeerIdentity> verify(
      std::span<const Bytes> chain_der, Purpose purpose, Instant now
  ) const;
  // The authorities that are trusted, for people: "health: CN=…; city: CN=…", the first eight.
  [[nodiscard]] std::string anchors() const;
  // What of a domain ends first. A list is asked for until `lists`, and a domain that needs none
  // has none.
  struct Ends {
    std::string domain;
    Instant anchors;
    std::optional<Instant> lists;
  };
  [[nodiscard]] std::vector<Ends> ends() const;

 private:
  struct State;
  explicit TrustStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The trust store in force. Connections keep the generation they were verified under and verify
// again when it has moved on. Any thread.
class TrustSource {
 public:
  explicit TrustSource(std::shared_ptr<const TrustStore> store) : store_(std::move(store)) {}

  struct Current {
    std::shared_ptr<const TrustStore> store;
    std::uint64_t generation = 0;
  };
  [[nodiscard]] Current current() const {
    const std::lock_guard lock(mutex_);
    return {store_, generation_.load(std::memory_order_relaxed)};
  }
  [[nodiscard]] std::uint64_t generation() const {
    return generation_.load(std::memory_order_acquire);
  }
  void replace(std::shared_ptr<const TrustStore> store) {
    const std::lock_guard lock(mutex_);
    store_ = std::move(store);
    generation_.fetch_add(1, std::memory_order_release);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const TrustStore> store_;
  std::atomic<std::uint64_t> generation_{1};
};

}  // namespace tally::identity
