#include "tally/evidence/collect.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/checkpoint_sender.hpp"
#include "tally/audit/shown_heads.hpp"
#include "tally/audit/static_log.hpp"
#include "tally/audit/witness.hpp"
#include "tally/core/json.hpp"
#include "tally/negotiation/agreement.hpp"
#include "tally/transfer/receipt.hpp"

#include "contract_files.hpp"
#include "guide.hpp"
#include "lineage.hpp"
#include "names.hpp"

namespace tally::evidence {
namespace {

using audit::Checkpoint;
using audit::Note;
using audit::NoteSignature;
using audit::VerifierKey;

// A checkpoint of our log, with the cosignatures that may be shown.
struct Signed {
  Checkpoint checkpoint;
  Note note;
  bool cosigned = false;
};

// By size. The log signs no size twice, so that cosignatures of one size are of one text.
using SignedSizes = std::map<std::uint64_t, Signed>;

void add_signatures(Note& note, const std::vector<NoteSignature>& more) {
  for (const NoteSignature& one : more) {
    const auto same = [&one](const NoteSignature& other) {
      return other.name == one.name && other.id == one.id;
    };
    if (std::none_of(note.signatures.begin(), note.signatures.end(), same)) {
      note.signatures.push_back(one);
    }
  }
}

// What the tree of one size must give for the proofs, filled while its records go by.
class Subtrees {
 public:
  [[nodiscard]] audit::SubtreeHash asking() {
    return [this](unsigned level, std::uint64_t index) -> Result<Digest> {
      return hashes_[{level, index}];
    };
  }
  void take(const audit::Subtree& subtree) {
    const auto found = hashes_.find({subtree.level, subtree.index});
    if (found != hashes_.end()) found->second = subtree.hash;
  }

 private:
  std::map<std::pair<unsigned, std::uint64_t>, Digest> hashes_;
};

// The records of the agreement and what the choice of a checkpoint needs, in one reading.
struct Found {
  std::string genesis;
  std::map<std::uint64_t, std::string> own;
  std::map<std::uint64_t, std::string> heads;
  std::map<std::uint64_t, std::string> rotations;  // `key.rotated`
};

class Collector {
 public:
  Collector(audit::LogStorage& log, Store& store, AgreementId id)
      : log_(log), store_(store), id_(std::move(id)) {}

  Result<Collected> run() {
    // The head file first, then the store, then the log: what an earlier one knows, the later have.
    auto kept = audit::read_checkpoint(log_);
    if (!kept) return fail(std::move(kept));
    auto agreement = negotiation::find_agreement(store_, id_);
    if (!agreement) return fail(std::move(agreement));
    if (!*agreement) {
      return fail(ErrorKind::not_found, {"evidence.agreement-unknown", {{"agreement", id_.value}}});
    }
    agreement_ = std::move(**agreement);
    auto keys = audit::read_keys(log_);
    if (!keys) return fail(std::move(keys));
    log_keys_ = *std::move(keys);
    read_partner();
    auto sizes = signed_sizes(*kept);
    if (!sizes) return fail(std::move(sizes));
    auto notes = transfer::kept_notes(store_, id_);
    if (!notes) return fail(std::move(notes));
    auto theirs = their_checkpoint();
    if (!theirs) return fail(std::move(theirs));

    auto found = read_records();
    if (!found) return fail(std::move(found));
    choose(*sizes, *found);
    for (const auto& [seq, text] : found->own) {
      if (seq < one_.checkpoint.size) {
        records_[seq] = text;
        ++out_.records;
      } else {
        ++out_.behind;
      }
    }
    if (records_.empty()) {
      return fail(ErrorKind::conflict, {"evidence.agreement-unlogged", {{"agreement", id_.value}}});
    }
    records_[0] = found->genesis;
    if (heads_seq_) records_[*heads_seq_] = found->heads.at(*heads_seq_);
    for (auto& [seq, text] : found->rotations) {
      if (seq < one_.checkpoint.size) records_[seq] = std::move(text);
    }

    out_.bundle.agreement = id_.value;
    out_.bundle.origin = one_.checkpoint.origin;
    out_.bundle.size = one_.checkpoint.size;
    if (auto done = prove(*sizes); !done) return fail(std::move(done));
    put_policy();
    if (auto done = put_contract(); !done) return fail(std::move(done));
    put_notes(*notes);
    if (!theirs->empty()) put(theirs_file, *std::move(theirs));
    if (auto done = put_lineage(); !done) return fail(std::move(done));
    put(guide_file, guide_text(out_.bundle));
    return std::move(out_);
  }

 private:
  void put(std::string_view name, std::string bytes) {
    out_.bundle.files.emplace(name, std::move(bytes));
  }

  void read_partner() {
    statement_ = agreement_.peer_statement();
    if (!statement_) return;
    auto witness = audit::parse_verifier_key(statement_->witness_vkey);
    if (witness && witness->type == audit::cosignature_type) partner_ = *std::move(witness);
  }

  // What the other party's log last showed us; nothing where another key than its statement names
  // has signed it, since the bundle could not say whose key that is.
  Result<std::string> their_checkpoint() const {
    if (!statement_) return std::string();
    auto note = audit::cosigned_checkpoint(store_, statement_->log_origin);
    if (!note || note->empty()) return note;
    const auto key = audit::parse_verifier_key(statement_->first_log_vkey);
    if (!key || !audit::verify_checkpoint(*note, std::span(&*key, 1))) return std::string();
    return note;
  }

  Result<SignedSizes> signed_sizes(const audit::KeptCheckpoint& kept) const {
    SignedSizes sizes;
    auto note = audit::parse_note(kept.note);
    if (!note) return fail(std::move(note));
    // What others added to the released one is not ours to pass on.
    const VerifierKey& released_by = log_keys_.at(kept.checkpoint.size);
    std::erase_if(note->signatures, [&released_by](const NoteSignature& one) {
      return !one.by(released_by);
    });
    sizes[kept.checkpoint.size] = {kept.checkpoint, *std::move(note), false};
    auto cosigned = audit::CheckpointSender::cosigned(store_);
    if (!cosigned) return fail(std::move(cosigned));
    for (const audit::Cosigned& one : *cosigned) {
      const bool named = one.id.starts_with("witness ");
      if (one.note.empty() || (!named && one.id != to_string(agreement_.peer()))) continue;
      std::vector<VerifierKey> known{log_keys_.at(one.size)};
      if (partner_) known.push_back(*partner_);
      auto verified = audit::verify_checkpoint(one.note, known);
      auto parsed = audit::parse_note(one.note);
      if (!verified || !parsed) continue;  // of keys that changed since: nothing to show
      Signed& into = sizes[verified->checkpoint.size];
      if (into.note.text.empty()) {
        into.checkpoint = verified->checkpoint;
        into.note.text = parsed->text;
      }
      if (into.note.text != parsed->text) continue;
      add_signatures(into.note, parsed->signatures);
      into.cosigned = true;
    }
    return sizes;
  }

  Result<Found> read_records() const {
    Found found;
    const auto each = [&](const audit::RecordView& record) {
      if (record.seq == 0) found.genesis = record.text;
      if (record.agreement == id_.value) found.own.emplace(record.seq, record.text);
      if (record.type == "log.heads") found.heads.emplace(record.seq, record.text);
      if (record.type == "key.rotated") found.rotations.emplace(record.seq, record.text);
    };
    if (auto read = audit::for_each_record(log_, 0, each); !read) return fail(std::move(read));
    return found;
  }

  void choose(const SignedSizes& sizes, const Found& found) {
    one_ = sizes.rbegin()->second;
    if (!found.own.empty()) {
      const auto after = found.heads.upper_bound(found.own.rbegin()->first);
      for (auto size = sizes.rbegin(); size != sizes.rend(); ++size) {
        if (!size->second.cosigned || after == found.heads.end() || size->first <= after->first) {
          continue;
        }
        one_ = size->second;
        break;
      }
    }
    const auto behind = found.heads.lower_bound(one_.checkpoint.size);
    if (behind != found.heads.begin()) heads_seq_ = std::prev(behind)->first;
  }

  // Everything that the tree shows, in one more reading of the log.
  Result<void> prove(const SignedSizes& sizes) {
    const std::uint64_t size = one_.checkpoint.size;
    Subtrees subtrees;
    for (const auto& [seq, text] : records_) {
      auto asked = audit::make_inclusion_proof(seq, size, subtrees.asking());
      if (!asked) return fail(std::move(asked));
    }
    for (const auto& [earlier, note] : sizes) {
      if (!note.cosigned || earlier >= size) continue;
      auto asked = audit::make_consistency_proof(earlier, size, subtrees.asking());
      if (!asked) return fail(std::move(asked));
    }
    audit::Frontier tree;
    std::unordered_map<std::string, audit::AgreementHead> agreements;
    const auto each = [&](const audit::RecordView& record) {
      if (record.seq >= size) return;
      tree.append(record.leaf, [&](const audit::Subtree& subtree) { subtrees.take(subtree); });
      if (!heads_seq_ || record.seq >= *heads_seq_ || record.agreement.empty()) return;
      audit::AgreementHead& head = agreements[record.agreement];
      head = {head.aseq + 1, record.leaf, record.seq + 1};
    };
    if (auto read = audit::for_each_record(log_, 0, each); !read) return fail(std::move(read));
    if (tree.size() != size || tree.root() != one_.checkpoint.root) {
      return fail(
          ErrorKind::conflict,
          {"audit.log-other-root", {{"file", "head"}, {"size", std::to_string(size)}}}
      );
    }

    const std::string note = one_.note.print();
    std::map<std::uint64_t, audit::LogProof> proofs;
    for (const auto& [seq, text] : records_) {
      auto hashes = audit::make_inclusion_proof(seq, size, subtrees.asking());
      if (!hashes) return fail(std::move(hashes));
      const auto& proof = proofs[seq] =
          audit::LogProof{std::nullopt, seq, *std::move(hashes), note};
      put(record_file(seq), text);
      put(proof_file(seq), proof.print());
    }
    for (const auto& [earlier, signed_note] : sizes) {
      if (!signed_note.cosigned || earlier >= size) continue;
      auto hashes = audit::make_consistency_proof(earlier, size, subtrees.asking());
      if (!hashes) return fail(std::move(hashes));
      put(cosigned_file(earlier), signed_note.note.print());
      put(continued_file(earlier),
          audit::AddCheckpoint{earlier, *std::move(hashes), one_.note, one_.checkpoint}.print());
    }
    if (!heads_seq_) return {};
    const auto map = audit::HeadsMap::of(agreements);
    if (!map) return tl::unexpected(map.error());
    const std::string& record = records_.at(*heads_seq_);
    const auto json = parse_json(record);
    const auto root = json ? string_member(*json, "root", "") : tl::unexpected(json.error());
    if (!root || parse_digest_text(*root) != map->root()) {
      const std::string seq = std::to_string(*heads_seq_);
      return fail(ErrorKind::conflict, {"audit.heads-other-root", {{"seq", seq}}});
    }
    put(heads_proof_file,
        audit::ShownHeads{record, map->prove(id_), proofs.at(*heads_seq_)}.print());
    out_.heads = true;
    return {};
  }

  void put_policy() {
    audit::LogPolicy policy;
    policy.logs.push_back({log_keys_.at(one_.checkpoint.size), {}});
    if (partner_) {
      policy.witnesses.push_back({std::string(partner_name), *partner_, {}});
      const auto by = [this](const NoteSignature& one) { return one.by(*partner_); };
      if (std::any_of(one_.note.signatures.begin(), one_.note.signatures.end(), by)) {
        policy.quorum = partner_name;
      }
    }
    put(policy_file, policy.print());
  }

  Result<void> put_contract() {
    put(agreement_file, agreement_.document);
    for (const auto side : {odrl::Side::provider, odrl::Side::consumer}) {
      const std::string& archive = side == odrl::Side::provider ? agreement_.provider_signature
                                                                : agreement_.consumer_signature;
      if (archive.empty()) continue;
      const auto signature = identity::verify_archive(archive);
      if (!signature) return tl::unexpected(signature.error());
      for (auto& [name, bytes] : derived_files(side, *signature)) put(name, std::move(bytes));
      put(signature_file(side), archive);
    }
    return {};
  }

  // Those that a record in the bundle names.
  void put_notes(const std::vector<std::string>& notes) {
    std::map<std::string, const std::string*> by_digest;
    for (const std::string& note : notes) by_digest[digest_text(sha256(note))] = &note;
    for (const auto& [seq, text] : records_) {
      const auto record = parse_json(text);
      if (!record) continue;
      const auto note_of = [&](const char* member) {
        return by_digest.find(string_member(*record, member, "").value_or(std::string()));
      };
      if (const auto receipt = note_of("receipt"); receipt != by_digest.end()) {
        put(receipt_file(to_hex(sha256(*receipt->second))), *receipt->second);
      }
      if (!names_a_note(string_member(*record, "type", "").value_or(std::string()))) continue;
      if (const auto note = note_of("content"); note != by_digest.end()) {
        put(note_file(to_hex(sha256(*note->second))), *note->second);
      }
    }
  }

  Result<void> put_lineage() {
    std::vector<std::string> texts;
    for (const auto& [seq, text] : records_) texts.push_back(text);
    auto trace = lineage_of(std::move(texts), id_.value);
    if (!trace) return fail(std::move(trace));
    put(prov_file, *std::move(trace));
    return {};
  }

  audit::LogStorage& log_;
  Store& store_;
  AgreementId id_;
  negotiation::Agreement agreement_;
  std::optional<identity::KeyStatement> statement_;
  audit::LogKeys log_keys_;
  std::optional<VerifierKey> partner_;
  Signed one_;
  std::optional<std::uint64_t> heads_seq_;
  std::map<std::uint64_t, std::string> records_;
  Collected out_;
};

}  // namespace

Result<Collected> collect(audit::LogStorage& log, Store& store, const AgreementId& agreement) {
  return Collector(log, store, agreement).run();
}

}  // namespace tally::evidence
