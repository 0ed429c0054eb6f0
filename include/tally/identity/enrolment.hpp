// What `tally init` needs before a certificate exists: fresh keys and certificate requests. Pure,
// apart from OpenSSL's random source for new keys.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/result.hpp"
#include "tally/core/secret.hpp"

namespace tally::identity {

enum class KeyKind { p256, ed25519 };

// PKCS#8 PEM, unencrypted; the caller writes it with mode 0600.
Result<Secret> generate_key_pem(KeyKind kind);
// The Ed25519 key of a 32-byte seed: for tests and other replays.
Result<Secret> ed25519_key_pem(std::span<const std::uint8_t> seed);

// The 32 bytes of an Ed25519 private key in PEM; nullopt: it is none.
std::optional<Secret> ed25519_seed(std::string_view key_pem);

struct CertificateRequest {
  std::string common_name;
  std::string uri;                     // the party: the one SAN URI
  std::vector<std::string> dns_names;  // TLS certificates only
  std::vector<std::string> addresses;
  bool tls = true;  // clientAuth and serverAuth; false: a contract certificate, digitalSignature
};
// PKCS#10 PEM. Errors: invalid, identity.key-unreadable, identity.request-failed.
Result<std::string> make_request_pem(std::string_view key_pem, const CertificateRequest& request);

// What stands in a certificate, for `tallyd --check` and the certificate's part of "ready".
struct CertificateFacts {
  std::vector<std::string> uris;
  Instant not_before;
  Instant not_after;
  std::string sha256;
};
// Of the leaf, the first certificate of the text. Errors: invalid, identity.chain-unreadable.
Result<CertificateFacts> certificate_facts(std::string_view chain_pem);

// The country (ISO 3166-1, two capital letters) that the subject of a certificate names once;
// empty: it names none, or several, or what is no certificate was given.
std::string country_of(std::span<const std::uint8_t> certificate_der);

// Who issued a certificate, as it says (RFC 2253), at most 200 bytes; empty: no certificate.
std::string issuer_of(std::span<const std::uint8_t> certificate_der);

// Whether `key_pem` is the private key of the first certificate of `chain_pem`. Errors: invalid,
// identity.key-unreadable, identity.chain-unreadable, identity.key-not-of-certificate.
Result<void> check_key_of_certificate(std::string_view key_pem, std::string_view chain_pem);

}  // namespace tally::identity
