// What the log shows: records, their proofs under one checkpoint, and that they are all.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/note.hpp"
#include "tally/audit/record_source.hpp"
#include "tally/audit/shown_heads.hpp"

#include "checking.hpp"
#include "names.hpp"

namespace tally::evidence {
namespace {

std::string text_of(const Json& json, std::string_view key) {
  const auto text = string_member(json, key, "");
  return text ? *text : std::string();
}

void read_policy(Checking& check) {
  const std::string* const text = check.take(policy_file);
  if (text == nullptr) {
    check.missing({"evidence.file-missing", {{"file", std::string(policy_file)}}});
    return;
  }
  const auto policy = audit::parse_log_policy(*text);
  if (!policy) broken(policy_file, "policy", policy.error());
  for (const auto& witness : policy->witnesses) {
    if (witness.name == partner_name) check.partner_witness = witness.key;
  }
  if (policy->logs.size() != 1) broken(policy_file, "policy", "evidence.policy-other");
  check.log_key = policy->logs.front().key;
}

// The log's keys, from the one of record 0 on.
void read_keys(Checking& check, const std::string& first) {
  auto key = audit::parse_verifier_key(first);
  if (!key) broken(record_file(0), "key", key.error());
  check.log_keys = audit::LogKeys(*std::move(key));
  for (const auto& [seq, record] : check.records) {
    if (record.view.type != "key.rotated") continue;
    const auto rotated = check.log_keys.rotate(seq, text_of(record.json, "note"));
    if (!rotated) broken(record.file, "key", rotated.error());
  }
  if (check.log_key && *check.log_key != check.key_at(check.bundle.size)) {
    broken(policy_file, "key", "evidence.log-key-other");
  }
}

void read_records(Checking& check) {
  for (const auto& [name, bytes] : check.bundle.files) {
    const auto seq = number_of(name, "records/", ".json");
    if (!seq) continue;
    check.take(name);
    const auto view = audit::view_record(bytes);
    if (!view) broken(name, "record", view.error());
    auto json = parse_json(bytes);
    if (!json) broken(name, "record", json.error());
    if (view->seq != *seq) broken(name, "record", "evidence.record-elsewhere");
    if (text_of(*json, "log") != check.bundle.origin) broken(name, "log", "evidence.other-log");
    check.records.emplace(*seq, CheckedRecord{name, *view, *std::move(json)});
  }
  const auto genesis = check.records.find(0);
  if (genesis == check.records.end()) {
    check.missing({"evidence.file-missing", {{"file", record_file(0)}}});
    return;
  }
  const Json& first = genesis->second.json;
  if (genesis->second.view.type != "log.genesis" || !first.contains("actor") ||
      !first["actor"].is_object()) {
    broken(genesis->second.file, "record", "evidence.no-genesis");
  }
  check.owner = {text_of(first["actor"], "domain"), text_of(first["actor"], "uri")};
  read_keys(check, text_of(first, "vkey"));
}

// The proof of every record, all under the same note.
void check_proofs(Checking& check) {
  for (auto& [seq, record] : check.records) {
    const std::string name = proof_file(seq);
    const std::string* const text = check.take(name);
    if (text == nullptr) {
      check.missing({"evidence.file-missing", {{"file", name}}});
      continue;
    }
    const auto proof = audit::parse_log_proof(*text);
    if (!proof) broken(name, "proof", proof.error());
    if (proof->index != seq || proof->extra) broken(name, "proof", "evidence.proof-other");
    if (!check.checkpoint) {
      check.note = proof->checkpoint;
      std::vector<audit::VerifierKey> keys;
      if (check.log_key) keys.push_back(*check.log_key);
      if (check.partner_witness) keys.push_back(*check.partner_witness);
      const auto verified = audit::verify_checkpoint(check.note, keys);
      if (!verified) broken(name, "checkpoint", verified.error());
      check.checkpoint = verified->checkpoint;
      for (const auto& good : verified->good) {
        if (good.cosignature()) check.witnessed.push_back({verified->checkpoint.size, good.time});
      }
      if (check.checkpoint->origin != check.bundle.origin ||
          check.checkpoint->size != check.bundle.size) {
        broken(name, "checkpoint", "evidence.other-log");
      }
      if (check.belief.policy) {
        const auto believed = audit::verify_checkpoint(check.note, *check.belief.policy);
        if (!believed) broken(name, "checkpoint", believed.error());
      }
    } else if (proof->checkpoint != check.note) {
      broken(name, "checkpoint", "evidence.other-checkpoint");
    }
    if (!audit::verify_inclusion(
            record.view.leaf, seq, check.checkpoint->size, proof->hashes, check.checkpoint->root
        )) {
      broken(name, "proof", Message{"audit.inclusion-unproved", {}});
    }
  }
}

// aseq 1 … k unbroken, each naming the one before.
void check_sequence(Checking& check) {
  std::uint64_t expected = 1;
  std::string before(2 * sizeof(Digest), '0');
  std::string time;
  for (const auto& [seq, record] : check.records) {
    if (record.view.time < time) broken(record.file, "time", "evidence.time-back");
    time = record.view.time;
    if (record.view.agreement.empty()) {
      const bool needed =
          seq == 0 || record.view.type == "log.heads" || record.view.type == "key.rotated";
      if (!needed) broken(record.file, "record", "evidence.record-foreign");
      continue;
    }
    if (record.view.agreement != check.bundle.agreement) {
      broken(record.file, "record", "evidence.record-foreign");
    }
    const auto aseq = record.json.find("aseq");
    if (aseq == record.json.end() || *aseq != Json(expected)) {
      broken(record.file, "aseq", "evidence.aseq-gap");
    }
    if (text_of(record.json, "aprev") != before) {
      broken(record.file, "aprev", "evidence.aprev-other");
    }
    before = to_hex(record.view.leaf);
    ++expected;
  }
  check.report.records = expected - 1;
  if (expected == 1) check.missing({"evidence.no-records", {}});
}

// That these are all records of the agreement up to the `log.heads` record.
void check_heads(Checking& check) {
  const std::string* const text = check.take(heads_proof_file);
  if (text == nullptr) {
    for (const auto& [seq, record] : check.records) {
      if (record.view.type == "log.heads") {
        check.missing({"evidence.file-missing", {{"file", std::string(heads_proof_file)}}});
        return;
      }
    }
    check.missing({"evidence.no-heads", {}});
    return;
  }
  const auto heads = audit::parse_shown_heads(*text);
  if (!heads) broken(heads_proof_file, "heads", heads.error());
  const auto record = check.records.find(heads->proof.index);
  if (record == check.records.end()) {
    check.missing({"evidence.file-missing", {{"file", record_file(heads->proof.index)}}});
    return;
  }
  if (record->second.view.text != heads->record || heads->proof.checkpoint != check.note) {
    broken(heads_proof_file, "heads", "evidence.heads-other");
  }
  audit::LogPolicy own;
  if (check.log_key) own.logs.push_back({*check.log_key, {}});
  const auto shown = audit::verify_shown_heads(*heads, AgreementId(check.bundle.agreement), own);
  if (!shown) broken(heads_proof_file, "heads", shown.error());
  std::uint64_t below = 0;
  const CheckedRecord* last = nullptr;
  for (const auto& [seq, one] : check.records) {
    if (one.view.agreement.empty()) continue;
    if (seq >= heads->proof.index) break;
    ++below;
    last = &one;
  }
  const std::uint64_t count = shown->head ? shown->head->aseq : 0;
  const bool all = count == below && (last == nullptr || (shown->head->leaf == last->view.leaf &&
                                                          shown->head->size == last->view.seq + 1));
  if (!all) {
    broken(
        heads_proof_file,
        "heads",
        Message{
            "evidence.not-all",
            {{"shown", std::to_string(below)}, {"count", std::to_string(count)}}}
    );
  }
  check.shown(
      {"evidence.all-records",
       {{"count", std::to_string(count)}, {"size", std::to_string(heads->proof.index)}}}
  );
  if (check.report.records > below) {
    const std::string later = std::to_string(check.report.records - below);
    check.shown({"evidence.later-records", {{"count", later}}});
  }
}

}  // namespace

void check_log(Checking& check) {
  read_policy(check);
  read_records(check);
  if (!check.log_key) return;
  check_proofs(check);
  check_sequence(check);
  if (!check.checkpoint) return;
  check.shown(
      {"evidence.records-proven",
       {{"count", std::to_string(check.report.records)},
        {"origin", check.bundle.origin},
        {"size", std::to_string(check.checkpoint->size)},
        {"root", to_hex(check.checkpoint->root)}}}
  );
  check_heads(check);
}

}  // namespace tally::evidence
