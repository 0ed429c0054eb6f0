// The parts of a check. Each looks at one kind of file, takes those names off the list of what is
// left to explain, and ends the check with a Broken when something is not as it must be.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/checkpoint.hpp"
#include "tally/audit/key_rotation.hpp"
#include "tally/audit/record.hpp"
#include "tally/core/json.hpp"
#include "tally/evidence/check.hpp"
#include "tally/identity/message_signature.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::evidence {

// Evidence of change: ends the check. Caught in check_bundle, and nowhere else.
struct Broken {
  BundleFinding finding;
};

struct CheckedRecord {
  std::string file;
  audit::RecordView view;
  Json json;
};

// A checkpoint of this log that the other party cosigned: what is below `size` existed at `time`.
struct Witnessed {
  std::uint64_t size = 0;
  std::uint64_t time = 0;  // seconds of Unix time
};

struct Checking {
  Checking(const Bundle& checked, const Belief& believed, BundleReport& into)
      : bundle(checked), belief(believed), report(into) {}

  const Bundle& bundle;
  const Belief& belief;
  BundleReport& report;
  std::set<std::string, std::less<>> unexplained;

  // What the parts found out for those after them.
  std::optional<audit::VerifierKey> log_key;          // of policy.txt: that of the checkpoint
  audit::LogKeys log_keys;                            // from record 0 on; empty without it
  std::optional<audit::VerifierKey> partner_witness;  // of policy.txt
  std::optional<audit::Checkpoint> checkpoint;        // the one of all proofs
  std::string note;                                   // the same, as it stands in the proofs
  std::map<std::uint64_t, CheckedRecord> records;     // all, by seq
  PartyId owner;                                      // whose log it is
  // Of the contract, by odrl::Side: who signed and with what.
  std::map<odrl::Side, PartyId> parties;
  std::map<odrl::Side, identity::MessageSignature> signatures;
  std::vector<Witnessed> witnessed;

  // Takes the file off the list; null when there is none.
  const std::string* take(std::string_view name);
  [[nodiscard]] odrl::Side owner_side() const;
  // The key that signs a tree of this size. Precondition: there is a log_key.
  [[nodiscard]] const audit::VerifierKey& key_at(std::uint64_t size) const {
    return log_keys.entries().empty() ? *log_key : log_keys.at(size);
  }
  [[nodiscard]] const identity::MessageSignature* signature_of(bool owner_signed) const;
  void missing(Message message) { report.missing.push_back(std::move(message)); }
  void shown(Message message) { report.shown.push_back(std::move(message)); }
  void trusted(Message message) { report.trusted.push_back(std::move(message)); }
};

[[noreturn]] void broken(std::string_view file, std::string_view link, Message message);
[[noreturn]] void broken(std::string_view file, std::string_view link, const Error& why);
// {file}-sentences of this module.
[[noreturn]] void broken(std::string_view file, std::string_view link, const char* code);

void check_log(Checking& check);        // policy, records, proofs, heads
void check_agreement(Checking& check);  // contract/: what was signed, by which keys
void check_witnesses(Checking& check);  // witness/: what the other party saw, and when
void check_chains(Checking& check);     // contract/: what the certificates were worth then
void check_receipts(Checking& check);   // receipts/
void check_notes(Checking& check);      // notes/
void check_rest(Checking& check);       // lineage, guide, and that nothing else is there

}  // namespace tally::evidence
