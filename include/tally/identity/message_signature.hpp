// Signatures on DSP messages: HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530),
// made with the contract key, tag "tally-agreement". Ordinary DSP peers see headers they ignore.
//
// Covered, in this order: "@method" "content-digest" "tally-agreement", and "tally-enforces" when
// there is one. Pure; strict and bounded parsing (structured fields, RFC 8941). What is returned is
// everything that must be archived to check the signature again from the anchors alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tally/core/http.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/identity/trust.hpp"

namespace tally::identity {

constexpr std::string_view agreement_header = "Tally-Agreement";
constexpr std::string_view enforces_header = "Tally-Enforces";
constexpr std::string_view key_statement_header = "Tally-Key-Statement";
constexpr std::string_view contract_chain_header = "Tally-Contract-Chain";

// How far apart the two clocks may be, and how long a message may be under way: its retries end
// after 24 hours (Limits::retry_deadline).
constexpr Nanos signature_clock_skew = seconds(300);
constexpr Nanos signature_max_age = seconds(90'000);

struct SigningInput {
  Digest agreement{};              // SHA-256 of the agreement in JCS
  std::optional<Digest> enforces;  // of the rules confirmed; the verification message only
  Instant created;
  std::string nonce;                                // e.g. uuid_v4: printable ASCII, no quotes
  std::optional<SignedKeyStatement> key_statement;  // with a connector's first signed message
};

// One signature as it was made or received, with all it takes to check it later.
struct MessageSignature {
  PartyId signer;  // empty in what sign_message returns: a party does not know its domain elsewhere
  Digest agreement{};
  std::optional<Digest> enforces;
  Instant created;
  std::string keyid;
  std::string nonce;
  std::string signature_base;   // the bytes that were signed
  std::string signature_input;  // header fields as sent
  std::string signature;
  std::string content_digest;
  std::string method;
  Digest body{};             // SHA-256 of the content
  std::vector<Bytes> chain;  // the contract certificate's, DER, leaf first
  Instant chain_not_after;
  // As seen at verification, and the lists that it rests on; empty in what sign_message returns.
  std::string crl_state;
  std::vector<Bytes> lists;  // DER
  std::optional<KeyStatement> key_statement;
  std::optional<SignedKeyStatement> signed_key_statement;
};

// Sets Content-Digest, Tally-Agreement, Tally-Enforces, Tally-Contract-Chain, Tally-Key-Statement,
// Signature-Input and Signature for the method and body that `request` has now.
MessageSignature sign_message(
    HttpRequest& request, const ContractSigner& signer, const SigningInput& input
);

// Whether the message carries a signature of ours at all, good or bad.
bool has_message_signature(const HttpRequest& request);

// The contract chain must prove `expected`, the party of the connection. Errors: unauthenticated,
// identity.signature-* (missing, malformed, wrong-digest, not-covered, wrong, too-old, in-future,
// key-mismatch, other-party, key-statement-*), or what TrustStore::verify says about the chain.
Result<MessageSignature> verify_message(
    const HttpRequest& request, const TrustStore& trust, const PartyId& expected, Instant now
);

// For the archive: one JSON object in JCS, bytes in base64. Revocation lists of more than
// most_archived_list_bytes together are left out; what they said stands in `crl_state`.
constexpr std::size_t most_archived_list_bytes = 64 << 10;
std::string to_archive_json(const MessageSignature& signature);

// An archive, checked with nothing else: its bytes are the canonical ones, the signature is by the
// first certificate of its chain over what it says it is over, and so is the key statement. What
// the chain is worth is not looked at (identity/archived_chain.hpp). chain_not_after and body stay
// empty. Errors: invalid, identity.archive-malformed {member}, identity.archive-wrong {what}.
Result<MessageSignature> verify_archive(std::string_view json);

// "sha-256=:…:" (RFC 9530) of a body.
std::string content_digest(std::string_view body);

}  // namespace tally::identity
