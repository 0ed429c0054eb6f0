// What was agreed, who signed it with which keys, and what their certificates were worth then.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/witness_message.hpp"
#include "tally/identity/archived_chain.hpp"
#include "tally/negotiation/agreement.hpp"

#include "checking.hpp"
#include "contract_files.hpp"
#include "names.hpp"

namespace tally::evidence {
namespace {

constexpr odrl::Side both_sides[] = {odrl::Side::provider, odrl::Side::consumer};

std::string text_of(const Json& json, std::string_view key) {
  const auto text = string_member(json, key, "");
  return text ? *text : std::string();
}

std::string name_of(odrl::Side side) {
  return std::string(odrl::to_string(side));
}

const CheckedRecord* record_of(const Checking& check, std::string_view type) {
  for (const auto& [seq, record] : check.records) {
    if (record.view.type == type) return &record;
  }
  return nullptr;
}

// The hash under which the log filed a side's signature: once when it came, once in force.
void check_filed(const Checking& check, odrl::Side side, const std::string& archive) {
  const std::string digest = digest_text(sha256(archive));
  const bool provider = side == odrl::Side::provider;
  const auto* when = record_of(check, provider ? "contract.agreed" : "contract.verified");
  if (when != nullptr && text_of(when->json, "signature") != digest) {
    broken(signature_file(side), "signature", "evidence.signature-unfiled");
  }
  const auto* final = record_of(check, "contract.finalized");
  if (final == nullptr) return;
  const auto filed = final->json.find("signatures");
  if (filed != final->json.end() && filed->is_object() &&
      text_of(*filed, name_of(side)) != digest) {
    broken(signature_file(side), "signature", "evidence.signature-unfiled");
  }
}

// Whether the log says that this side signed.
bool filed_as_signed(const Checking& check, odrl::Side side) {
  const auto* final = record_of(check, "contract.finalized");
  if (final == nullptr) return false;
  const auto filed = final->json.find("signatures");
  return filed != final->json.end() && filed->is_object() &&
         text_of(*filed, name_of(side)) != "asserted";
}

void check_signature(
    Checking& check, odrl::Side side, const Digest& document, const std::optional<Digest>& enforces
) {
  const std::string file = signature_file(side);
  const std::string* const archive = check.take(file);
  const Message by{"evidence.unsigned", {{"side", name_of(side)}, {"file", file}}};
  if (archive == nullptr) {
    check.missing(
        filed_as_signed(check, side) ? Message{"evidence.file-missing", {{"file", file}}} : by
    );
    return;
  }
  auto signature = identity::verify_archive(*archive);
  if (!signature) broken(file, "signature", signature.error());
  if (signature->agreement != document) broken(file, "signature", "evidence.signed-other");
  if (signature->signer.uri != check.parties[side].uri) {
    broken(file, "signature", "evidence.signer-other");
  }
  check_filed(check, side, *archive);
  for (const auto& [name, bytes] : derived_files(side, *signature)) {
    const std::string* const there = check.take(name);
    if (there == nullptr) {
      check.missing({"evidence.file-missing", {{"file", name}}});
    } else if (*there != bytes) {
      broken(name, "signature", "evidence.derived-other");
    }
  }
  check.shown({"evidence.signed", {{"party", signature->signer.uri}}});
  // Rules that cannot be read here are said to be so already.
  if (side == odrl::Side::consumer && !signature->enforces) {
    check.shown({"evidence.rules-unconfirmed", {}});
  } else if (side == odrl::Side::consumer && enforces) {
    if (signature->enforces != enforces) broken(file, "rules", "evidence.rules-other");
    check.shown({"evidence.rules-confirmed", {}});
  }
  check.signatures.emplace(side, *std::move(signature));
}

// The key statements: which log is the owner's, which witness key the other party's.
void check_statements(Checking& check) {
  for (const auto& [side, signature] : check.signatures) {
    if (!signature.key_statement) continue;
    const identity::KeyStatement& says = *signature.key_statement;
    // Good when it was signed with, as the other party checked then.
    if (says.party != signature.signer.uri ||
        says.not_before > signature.created + identity::signature_clock_skew ||
        says.not_after + identity::signature_clock_skew < signature.created) {
      broken(signature_file(side), "key", "evidence.statement-other");
    }
  }
  const auto* mine = check.signature_of(true);
  const std::string own_file = signature_file(check.owner_side());
  if (mine == nullptr || !mine->key_statement) {
    check.missing({"evidence.no-statement", {{"party", check.owner.uri}}});
  } else {
    const identity::KeyStatement& says = *mine->key_statement;
    if (says.log_origin != check.bundle.origin ||
        (!check.log_keys.entries().empty() &&
         says.first_log_vkey != check.log_keys.entries().front().key.text())) {
      broken(own_file, "key", "evidence.statement-other");
    }
    check.shown({"evidence.log-key-stated", {{"party", says.party}, {"origin", says.log_origin}}});
  }
  const auto* theirs = check.signature_of(false);
  if (!check.partner_witness) return;
  if (theirs == nullptr || !theirs->key_statement ||
      theirs->key_statement->witness_vkey != check.partner_witness->text()) {
    broken(policy_file, "key", "evidence.witness-key-other");
  }
}

// Until when the partner had seen this record at the latest: seconds of Unix time.
std::optional<std::uint64_t> seen_by(const Checking& check, std::uint64_t seq) {
  std::optional<std::uint64_t> first;
  for (const Witnessed& one : check.witnessed) {
    if (one.size > seq && (!first || one.time < *first)) first = one.time;
  }
  return first;
}

void check_chain(Checking& check, odrl::Side side, const identity::MessageSignature& signature) {
  const std::string file = signature_file(side);
  const std::string party = check.parties[side].uri;
  const bool provider = side == odrl::Side::provider;
  const auto* when = record_of(check, provider ? "contract.agreed" : "contract.verified");
  if (when != nullptr) {
    const auto at = parse_date_time(when->view.time);
    if (!at || signature.created > at->instant + identity::signature_clock_skew ||
        signature.created + identity::signature_max_age < at->instant) {
      broken(file, "time", "evidence.signed-at-another-time");
    }
  }
  const std::map<std::string, std::string> at{
      {"party", party}, {"time", format_seconds(signature.created)}};
  if (check.belief.anchors_pem.empty()) {
    check.trusted({"evidence.chain-unjudged", at});
    return;
  }
  const auto judge = [&](std::span<const Bytes> lists) {
    return identity::verify_archived_chain(
        signature.chain, lists, check.belief.anchors_pem, party, signature.created
    );
  };
  // First without the lists: what is wrong with the chain itself weighs more.
  const auto chain = judge({});
  if (!chain) broken(file, "chain", chain.error());
  check.shown({"evidence.chain-good", at});
  if (!signature.lists.empty()) {
    const auto listed = judge(signature.lists);
    const std::string code = listed ? std::string() : listed.error().message.code;
    if (code == "identity.crl-stale" || code == "identity.crl-missing") {
      check.missing(listed.error().message);
    } else if (!listed) {
      broken(file, "chain", listed.error());
    } else {
      auto params = at;
      params["state"] = listed->crl_state;
      check.trusted({"evidence.revocation-listed", std::move(params)});
    }
  } else if (signature.crl_state.empty()) {
    check.missing({"evidence.revocation-missing", at});
  } else {
    auto params = at;
    params["state"] = signature.crl_state;
    check.trusted({"evidence.revocation-said", std::move(params)});
  }
  // The time itself: the log's word, unless the other party's cosignature bounds it.
  const auto seen = when == nullptr ? std::nullopt : seen_by(check, when->view.seq);
  auto params = at;
  if (seen &&
      *seen <= static_cast<std::uint64_t>(std::max<std::int64_t>(chain->not_after.seconds, 0))) {
    params["seen"] = format_seconds({static_cast<std::int64_t>(*seen), 0});
    check.trusted({"evidence.time-witnessed", std::move(params)});
  } else {
    check.trusted({"evidence.time-own-word", std::move(params)});
  }
}

}  // namespace

void check_agreement(Checking& check) {
  const std::string* const document = check.take(agreement_file);
  if (document == nullptr) {
    check.missing({"evidence.file-missing", {{"file", std::string(agreement_file)}}});
    return;
  }
  const auto json = parse_json(*document);
  if (!json || !json->is_object() || to_jcs(*json) != *document) {
    broken(agreement_file, "agreement", "evidence.agreement-malformed");
  }
  if (text_of(*json, "@id") != check.bundle.agreement) {
    broken(agreement_file, "agreement", "evidence.agreement-other");
  }
  check.parties[odrl::Side::provider].uri = text_of(*json, "assigner");
  check.parties[odrl::Side::consumer].uri = text_of(*json, "assignee");
  if (check.owner.uri != check.parties[odrl::Side::provider].uri &&
      check.owner.uri != check.parties[odrl::Side::consumer].uri) {
    broken(agreement_file, "agreement", "evidence.agreement-of-others");
  }
  const Digest digest = sha256(*document);
  bool named = false;
  for (const char* type : {"contract.agreed", "contract.verified", "contract.finalized"}) {
    const auto* record = record_of(check, type);
    if (record == nullptr) continue;
    named = true;
    if (text_of(record->json, "policy") != digest_text(digest)) {
      broken(agreement_file, "agreement", "evidence.agreement-unfiled");
    }
  }
  if (!named) check.missing({"evidence.agreement-unnamed", {}});
  if (record_of(check, "contract.finalized") == nullptr) {
    check.missing({"evidence.not-in-force", {}});
  }
  odrl::LoadOptions options;
  options.required_type = odrl::PolicyType::agreement;
  std::optional<Digest> enforces;
  // The meaning of a peer's own words is what the log says that it was when the contract was made.
  const auto* final = record_of(check, "contract.finalized");
  const auto reading = final == nullptr
                           ? dsp::PolicyReading{}
                           : dsp::policy_reading_from_json(final->json.value("reading", Json()));
  if (const auto policy = odrl::load_policy(dsp::as_read(*json, reading), options)) {
    enforces = negotiation::enforces_digest(**policy);
  } else {
    check.missing({"evidence.policy-unread", {{"file", std::string(agreement_file)}}});
  }
  for (const odrl::Side side : both_sides) check_signature(check, side, digest, enforces);
  check_statements(check);
}

// What the other party cosigned of this log before, and what this side cosigned of the other's.
void check_witnesses(Checking& check) {
  for (const auto& [name, bytes] : check.bundle.files) {
    const auto size = number_of(name, "witness/ours-", ".note");
    if (!size || !check.log_key) continue;
    check.take(name);
    const std::string proof_name = continued_file(*size);
    const std::string* const continued = check.take(proof_name);
    if (continued == nullptr) {
      check.missing({"evidence.file-missing", {{"file", proof_name}}});
      continue;
    }
    std::vector<audit::VerifierKey> keys{check.key_at(*size)};
    if (check.partner_witness) keys.push_back(*check.partner_witness);
    const auto earlier = audit::verify_checkpoint(bytes, keys);
    if (!earlier) broken(name, "witness", earlier.error());
    const auto proof = audit::parse_add_checkpoint(*continued);
    if (!proof) broken(proof_name, "witness", proof.error());
    if (earlier->checkpoint.size != *size || proof->old_size != *size || !check.checkpoint ||
        proof->note.print() != check.note ||
        !audit::verify_consistency(
            *size,
            check.checkpoint->size,
            earlier->checkpoint.root,
            check.checkpoint->root,
            proof->proof
        )) {
      broken(proof_name, "witness", "evidence.not-continued");
    }
    for (const auto& good : earlier->good) {
      if (good.cosignature()) check.witnessed.push_back({*size, good.time});
    }
  }
  for (const Witnessed& one : check.witnessed) {
    check.shown(
        {"evidence.cosigned",
         {{"witness", check.partner_witness->name},
          {"size", std::to_string(one.size)},
          {"time", format_seconds({static_cast<std::int64_t>(one.time), 0})}}}
    );
  }
  if (check.witnessed.empty()) check.trusted({"evidence.unwitnessed", {}});
  const std::string* const theirs = check.take(theirs_file);
  if (theirs == nullptr) return;
  const auto* signature = check.signature_of(false);
  if (signature == nullptr || !signature->key_statement) {
    broken(theirs_file, "witness", "evidence.theirs-unknown");
  }
  const auto key = audit::parse_verifier_key(signature->key_statement->first_log_vkey);
  if (!key) broken(theirs_file, "witness", key.error());
  const auto verified = audit::verify_checkpoint(*theirs, std::span(&*key, 1));
  if (!verified) broken(theirs_file, "witness", verified.error());
  check.shown(
      {"evidence.theirs-cosigned",
       {{"origin", verified->checkpoint.origin},
        {"size", std::to_string(verified->checkpoint.size)}}}
  );
}

void check_chains(Checking& check) {
  for (const auto& [side, signature] : check.signatures) check_chain(check, side, signature);
  if (check.belief.anchors_pem.empty() && !check.belief.policy) {
    check.trusted({"evidence.log-key-unjudged", {{"origin", check.bundle.origin}}});
  }
}

}  // namespace tally::evidence
