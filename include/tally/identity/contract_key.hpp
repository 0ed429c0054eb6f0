// The contract key: Ed25519, with a certificate of its own that names the same party as the TLS
// one. It signs agreements, receipts and the key statement; never TLS, never the log.
//
// ContractSigner is immutable after `load` and thread-safe. Signing is deterministic (RFC 8032), so
// a replayed run makes the same bytes.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/result.hpp"

namespace tally::identity {

using Ed25519Signature = std::array<std::uint8_t, 64>;
using Ed25519PublicKey = std::array<std::uint8_t, 32>;

class ContractSigner {
 public:
  // `key_pem`: PKCS#8, unencrypted. `chain_pem`: leaf first, then intermediates. Errors: invalid,
  // identity.key-unreadable, identity.key-not-ed25519, identity.chain-unreadable,
  // identity.key-not-of-certificate.
  static Result<std::shared_ptr<const ContractSigner>> load(
      std::string_view key_pem, std::string_view chain_pem
  );
  ~ContractSigner();
  ContractSigner(const ContractSigner&) = delete;
  ContractSigner& operator=(const ContractSigner&) = delete;

  [[nodiscard]] Ed25519Signature sign(std::span<const std::uint8_t> bytes) const;
  [[nodiscard]] Ed25519Signature sign(std::string_view text) const { return sign(as_bytes(text)); }
  [[nodiscard]] const std::vector<Bytes>& chain() const;  // DER, leaf first
  [[nodiscard]] const std::string& keyid() const;         // hex of SHA-256 over the leaf's DER
  [[nodiscard]] const Ed25519PublicKey& public_key() const;

 private:
  struct State;
  explicit ContractSigner(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// False for anything that is not a valid signature, keys and lengths that are none included.
bool verify_ed25519(
    std::span<const std::uint8_t> public_key,
    std::span<const std::uint8_t> bytes,
    std::span<const std::uint8_t> signature
);

// The Ed25519 key of a certificate in DER; nullopt if it holds another kind.
std::optional<Ed25519PublicKey> certificate_ed25519_key(std::span<const std::uint8_t> der);

// A connector's statement of its other keys, signed with the contract key. Goes along with the
// first signed message and is archived with the agreement.
struct KeyStatement {
  std::string party;           // the SAN URI of the contract certificate
  std::string log_origin;      // as in the log's genesis and checkpoints
  std::string first_log_vkey;  // verifier key of the log's first segment, C2SP signed-note form
  std::string witness_vkey;    // may be empty: this connector witnesses nobody
  Instant not_before;
  Instant not_after;
  bool operator==(const KeyStatement&) const = default;
};

// RFC 8785 text with "type": "tally-key-statement/1", which no other signed text of this program
// has. Whole seconds.
std::string to_jcs(const KeyStatement& statement);
// Strict: unknown members, another type, an empty validity are errors (invalid,
// identity.key-statement-*).
Result<KeyStatement> parse_key_statement(std::string_view jcs);

struct SignedKeyStatement {
  std::string jcs;
  Ed25519Signature signature{};
};
SignedKeyStatement sign_key_statement(const KeyStatement& statement, const ContractSigner& signer);

}  // namespace tally::identity
