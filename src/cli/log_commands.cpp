#include "log_commands.hpp"

#include <fstream>
#include <memory>
#include <system_error>

#include <nlohmann/json.hpp>

#include "tally/audit/record.hpp"
#include "tally/audit/static_log.hpp"

#include "files.hpp"
#include "log_folder.hpp"

namespace tally::cli {

namespace {

namespace fs = std::filesystem;

Result<void> write_bytes(const fs::path& file, std::string_view bytes) {
  std::error_code failed;
  if (file.has_parent_path()) fs::create_directories(file.parent_path(), failed);
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (failed || !out) {
    return tally::fail(ErrorKind::invalid, {"cli.file-unwritable", {{"file", file.string()}}});
  }
  return {};
}

std::string_view as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

int audit_key(const Console& console, const fs::path& folder) {
  auto storage = open_folder(folder);
  if (!storage) return console.fail(storage.error(), usage);
  const auto genesis = audit::read_genesis(**storage);
  if (!genesis) return console.fail(genesis.error());
  if (console.json) {
    console.print(Json{{"origin", genesis->origin}, {"vkey", genesis->vkey}}.dump(2));
  } else {
    console.print(genesis->vkey);
  }
  return done;
}

int audit_tiles(const Console& console, const fs::path& folder, const fs::path& out) {
  auto storage = open_folder(folder);
  if (!storage) return console.fail(storage.error(), usage);
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
  std::string text = proven->proof.print();
  if (!options.out.empty()) {
    auto written = write_bytes(options.out, text);
    return written ? done : console.fail(written.error());
  }
  text.pop_back();  // `print` ends the line
  console.print(text);
  return done;
}

int audit_check_proof(const Console& console, const CheckProofOptions& options) {
  const auto text = read_text(options.proof);
  if (!text) return console.fail(text.error(), usage);
  auto record = read_text(options.record);
  if (!record) return console.fail(record.error(), usage);
  // A record is one line without its end; an editor or a shell may have added one.
  if (record->ends_with('\n')) record->pop_back();

  audit::LogPolicy policy;
  if (options.vkey.empty()) {
    const auto file = read_text(options.policy);
    if (!file) return console.fail(file.error(), usage);
    auto parsed = audit::parse_log_policy(*file);
    if (!parsed) return console.fail(parsed.error(), usage);
    policy = *std::move(parsed);
  } else {
    auto key = audit::parse_verifier_key(options.vkey);
    if (!key) return console.fail(key.error(), usage);
    policy.logs.push_back({*std::move(key), {}});
  }
  const auto proof = audit::parse_log_proof(*text);
  if (!proof) return console.fail(proof.error());
  const auto shown = audit::verify_log_proof(*proof, audit::leaf_hash(*record), policy);
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

}  // namespace tally::cli
