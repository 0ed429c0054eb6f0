// An agreement as this side keeps it: what was agreed, by whom, signed how. It pins the policy and
// the version of the asset; no later change of an offer touches it. Values; reading is the store's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/store.hpp"
#include "tally/dsp/policy_reading.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/odrl/policy.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::negotiation {

enum class AgreementStatus {
  agreed,  // made, and not yet in force
  active,  // transfers and uses may begin
  suspended,
  expired,     // the policy's end has passed
  terminated,  // never came into force, or was ended
};
std::string_view to_string(AgreementStatus status);  // the row's state
std::optional<AgreementStatus> parse_agreement_status(std::string_view text);

struct Agreement {
  std::uint64_t version = 0;  // of its row, as read: a change checks it
  AgreementId id;
  AgreementStatus status = AgreementStatus::agreed;
  std::string document;        // JCS of the Agreement on the wire; its SHA-256 is what both signed
  dsp::PolicyReading reading;  // how the document is read, as configured when it was made
  odrl::Side our_side = odrl::Side::provider;
  PartyId provider;
  PartyId consumer;
  AssetId asset;
  std::string asset_version;  // at the provider; empty at the consumer
  // As the provider's catalogue rated the asset when the agreement was made. No level: not known
  // here (at the consumer, or from before it was kept). The class may be empty: none was given.
  std::optional<int> asset_level;
  std::string asset_class;
  OfferId offer;
  Pid negotiation;                    // our own pid
  std::string peer_base;              // where the peer serves DSP for this contract
  std::vector<std::string> purposes;  // IRIs that the agreed constraints name
  std::string made_at;                // the agreement's timestamp
  std::string finalized_at;           // empty until active
  // Archives of the two signatures (identity::to_archive_json), or empty: not signed.
  std::string provider_signature;
  std::string consumer_signature;
  bool confirmed = false;  // the consumer confirmed to enforce every rule
  bool imported = false;   // made elsewhere and taken as it was

  [[nodiscard]] const PartyId& peer() const {
    return our_side == odrl::Side::provider ? consumer : provider;
  }
  // Whether something of it rests on the other side's word alone: a signature, or that the rules
  // are enforced.
  [[nodiscard]] bool is_asserted() const {
    return !confirmed || provider_signature.empty() || consumer_signature.empty();
  }
  [[nodiscard]] Digest digest() const;  // of the document
  // What the other side's receipts and deletion records are verified with: the Ed25519 key of its
  // archived contract certificate. nullopt: the agreement is not signed by it.
  [[nodiscard]] std::optional<Bytes> peer_key() const;
  // What the other side said of its log and its witness when it signed, verified then. nullopt: the
  // agreement is not signed by it, or without a key statement.
  [[nodiscard]] std::optional<identity::KeyStatement> peer_statement() const;
};

Result<Agreement> parse_agreement(const Row& row);
// The row to store next: body and state as they are, version as read.
Row to_row(const Agreement& agreement);
Result<std::optional<Agreement>> find_agreement(Store& store, const AgreementId& id);

// The country in the certificate that a signature (provider_signature, consumer_signature) came
// with; empty without one.
std::string signed_in(const std::string& archive);

// Compiled, as the enforcement point wants it. A limit without a stated owner is counted by the
// consumer; every limit by the provider where the consumer did not confirm to enforce the rules.
Result<usage::AgreementTerms> terms_of(const Agreement& agreement);

// Digest over the ids of all rules and duties in the order of the document: what a consumer
// confirms with Tally-Enforces, and what a provider expects.
Digest enforces_digest(const odrl::CompiledPolicy& policy);

}  // namespace tally::negotiation
