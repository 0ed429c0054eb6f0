#include "log_commands.hpp"

#include <memory>
#include <system_error>

#include <nlohmann/json.hpp>

#include "tally/audit/record.hpp"
#include "tally/audit/shown_heads.hpp"
#include "tally/audit/static_log.hpp"
#include "tally/audit/use_receipt.hpp"

#include "files.hpp"
#include "log_folder.hpp"

namespace tally::cli {

namespace {

namespace fs = std::filesystem;

std::string_view as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

int put_out(const Console& console, const fs::path& out, std::string text) {
  if (!out.empty()) {
    auto written = write_bytes(out, text);
    return written ? done : console.fail(written.error());
  }
  text.pop_back();  // `print` ends the line
  console.print(text);
  return done;
}

}  // namespace

Result<audit::LogPolicy> believed(const std::string& vkey, const fs::path& file) {
  if (vkey.empty()) {
    const auto text = read_text(file);
    if (!text) return tl::unexpected(text.error());
    return audit::parse_log_policy(*text);
  }
  auto key = audit::parse_verifier_key(vkey);
  if (!key) return tl::unexpected(key.error());
  audit::LogPolicy policy;
  policy.logs.push_back({*std::move(key), {}});
  return policy;
}

int audit_key(const Console& console, const fs::path& folder) {
  auto storage = open_folder(folder);
  if (!storage) return console.fail(storage.error(), usage);
  const auto keys = audit::read_keys(**storage);
  if (!keys) return console.fail(keys.error());
  if (!console.json) {
    console.print(keys->current().text());
    return done;
  }
  Json out = {
      {"origin", keys->current().name}, {"vkey", keys->current().text()}, {"keys", Json::array()}};
  for (const auto& entry : keys->entries()) {
    Json one = {{"seq", entry.from}, {"vkey", entry.key.text()}};
    if (!entry.note.empty()) one["note"] = entry.note;
    out["keys"].push_back(std::move(one));
  }
  console.print(out.dump(2));
  return done;
}

int audit_tiles(const Console& console, const fs::path& folder, const fs::path& out) {
  auto storage = open_folder(folder);
  if (!storage) return console.fail(storage.error(), usage);
  say_pruned(console, **storage, folder);
  std::error_code failed;
  // Files of another tree beside these would be served as if they belonged to it.
  if (fs::exists(out, failed) && !fs::is_empty(out, failed)) {
    return console.fail(Message{"cli.folder-not-empty", {{"folder", out.string()}}}, usage);
  }
  std::uint64_t files = 0;
  const auto written = audit::write_static_log(
      **storage,
      [&](const std::string& path, std::span<const std::uint8_t> bytes) {
        ++files;
        return write_bytes(out / path, as_text(bytes));
      }
  );
  if (!written) return console.fail(written.error());
  const std::string root = to_hex(written->checkpoint.root);
  if (console.json) {
    console.print(Json{
        {"origin", written->checkpoint.origin},
        {"size", written->checkpoint.size},
        {"root", root},
        {"files",
         files}}.dump(2));
  } else {
    console.say(
        {"cli.tiles-written",
         {{"folder", out.string()},
          {"files", std::to_string(files)},
          {"size", std::to_string(written->checkpoint.size)},
          {"root", root}}}
    );
  }
  return done;
}

int audit_prove(const Console& console, const ProveOptions& options) {
  auto storage = open_folder(options.folder);
  if (!storage) return console.fail(storage.error(), usage);
  const auto proven = audit::prove_record(**storage, options.seq);
  if (!proven) return console.fail(proven.error());
  if (!options.record.empty()) {
    auto written = write_bytes(options.record, proven->record);
    if (!written) return console.fail(written.error());
  }
  return put_out(console, options.out, proven->proof.print());
}

int audit_check_proof(const Console& console, const CheckProofOptions& options) {
  const auto text = read_text(options.proof);
  if (!text) return console.fail(text.error(), usage);
  auto record = read_text(options.record);
  if (!record) return console.fail(record.error(), usage);
  // A record is one line without its end; an editor or a shell may have added one.
  if (record->ends_with('\n')) record->pop_back();

  const auto policy = believed(options.vkey, options.policy);
  if (!policy) return console.fail(policy.error(), usage);
  const auto proof = audit::parse_log_proof(*text);
  if (!proof) return console.fail(proof.error());
  const auto shown = audit::verify_log_proof(*proof, audit::leaf_hash(*record), *policy);
  if (!shown) return console.fail(shown.error());

  const std::string root = to_hex(shown->checkpoint.root);
  if (console.json) {
    Json out = {
        {"origin", shown->checkpoint.origin},
        {"seq", proof->index},
        {"size", shown->checkpoint.size},
        {"root", root},
        {"signers", Json::array()}};
    for (const auto& good : shown->good) out["signers"].push_back(good.key.name);
    console.print(out.dump(2));
  } else {
    console.say(
        {"cli.proof-good",
         {{"seq", std::to_string(proof->index)},
          {"origin", shown->checkpoint.origin},
          {"size", std::to_string(shown->checkpoint.size)},
          {"root", root}}}
    );
  }
  return done;
}

int audit_heads(const Console& console, const HeadsOptions& options) {
  auto storage = open_folder(options.folder);
  if (!storage) return console.fail(storage.error(), usage);
  const auto shown = audit::prove_heads(**storage, AgreementId(options.agreement));
  if (!shown) return console.fail(shown.error());
  return put_out(console, options.out, shown->print());
}

int audit_check_heads(const Console& console, const CheckHeadsOptions& options) {
  const auto text = read_text(options.file);
  if (!text) return console.fail(text.error(), usage);
  const auto policy = believed(options.vkey, options.policy);
  if (!policy) return console.fail(policy.error(), usage);
  const auto file = audit::parse_shown_heads(*text);
  if (!file) return console.fail(file.error());
  const auto shown = audit::verify_shown_heads(*file, AgreementId(options.agreement), *policy);
  if (!shown) return console.fail(shown.error());

  const audit::Checkpoint& checkpoint = shown->checkpoint.checkpoint;
  const std::string root = to_hex(checkpoint.root);
  if (console.json) {
    Json out = {
        {"origin", checkpoint.origin},
        {"agreement", options.agreement},
        {"upTo", shown->size},
        {"count", shown->head ? shown->head->aseq : 0},
        {"size", checkpoint.size},
        {"root", root},
        {"signers", Json::array()}};
    if (shown->head) {
      out["last"] = {{"seq", shown->head->size - 1}, {"leaf", to_hex(shown->head->leaf)}};
    }
    for (const auto& good : shown->checkpoint.good) out["signers"].push_back(good.key.name);
    console.print(out.dump(2));
    return done;
  }
  Message said{
      "cli.heads-absent",
      {{"origin", checkpoint.origin},
       {"size", std::to_string(shown->size)},
       {"signed", std::to_string(checkpoint.size)},
       {"root", root}}};
  if (shown->head) {
    said.code = "cli.heads-shown";
    said.params["count"] = std::to_string(shown->head->aseq);
    said.params["seq"] = std::to_string(shown->head->size - 1);
    said.params["leaf"] = to_hex(shown->head->leaf);
  }
  console.say(said);
  return done;
}

int audit_check_receipt(const Console& console, const CheckReceiptOptions& options) {
  const auto text = read_text(options.file);
  if (!text) return console.fail(text.error(), usage);
  const auto key = audit::parse_verifier_key(options.key);
  if (!key) return console.fail(key.error(), usage);
  const auto kept = audit::parse_kept_receipt(*text);
  if (!kept) return console.fail(kept.error());
  // A proof that nobody looks at, or none where one was asked for, must not pass as looked at.
  const bool log_named = !options.vkey.empty() || !options.policy.empty();
  if (kept->proven.has_value() != log_named) {
    const char* why = log_named ? "cli.receipt-without-proof" : "cli.receipt-needs-vkey";
    return console.fail(Message{why, {}}, log_named ? refused : usage);
  }
  std::optional<audit::Checkpoint> checkpoint;
  auto receipt = audit::verify_use_receipt(kept->receipt, *key);
  if (!receipt) return console.fail(receipt.error());
  if (kept->proven) {
    const auto policy = believed(options.vkey, options.policy);
    if (!policy) return console.fail(policy.error(), usage);
    auto shown = audit::verify_proven_use(*kept->proven, *key, *policy);
    if (!shown) return console.fail(shown.error());
    checkpoint = std::move(shown->checkpoint.checkpoint);
  }
  if (console.json) {
    Json out = {
        {"use", receipt->use.value},
        {"agreement", receipt->agreement.value},
        {"action", receipt->action},
        {"time", receipt->time},
        {"origin", receipt->origin},
        {"seq", receipt->seq},
        {"leaf", to_hex(receipt->leaf)},
        {"signer", key->name},
        {"proven", checkpoint.has_value()}};
    if (checkpoint) out["size"] = checkpoint->size;
    console.print(out.dump(2));
    return done;
  }
  Message said{
      checkpoint ? "cli.receipt-proven" : "cli.receipt-signed",
      {{"use", receipt->use.value},
       {"agreement", receipt->agreement.value},
       {"action", receipt->action},
       {"time", receipt->time},
       {"origin", receipt->origin},
       {"seq", std::to_string(receipt->seq)},
       {"signer", key->name}}};
  if (checkpoint) said.params["size"] = std::to_string(checkpoint->size);
  console.say(said);
  return done;
}

}  // namespace tally::cli
