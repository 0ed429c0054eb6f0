#include "bundle_commands.hpp"

#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/new_log.hpp"
#include "tally/audit/ustar.hpp"
#include "tally/evidence/check.hpp"
#include "tally/evidence/collect.hpp"
#include "tally/identity/archived_chain.hpp"
#include "tally/store/sqlite_store.hpp"

#include "files.hpp"
#include "log_commands.hpp"
#include "log_folder.hpp"

namespace tally::cli {
namespace {

Json messages(const Console& console, const std::vector<Message>& all) {
  Json out = Json::array();
  for (const Message& message : all) out.push_back(console.message_json(message));
  return out;
}

std::string_view word(audit::Verdict verdict) {
  switch (verdict) {
    case audit::Verdict::whole:
      return "whole";
    case audit::Verdict::changed:
      return "changed";
    case audit::Verdict::incomplete:
      break;
  }
  return "incomplete";
}

void print_json(const Console& console, const evidence::BundleReport& report) {
  Json out = {
      {"verdict", word(report.verdict)},
      {"agreement", report.agreement},
      {"log", report.origin},
      {"size", report.size},
      {"records", report.records},
      {"shown", messages(console, report.shown)},
      {"trusted", messages(console, report.trusted)},
      {"missing", messages(console, report.missing)}};
  if (report.finding) {
    out["finding"] = {
        {"file", report.finding->file},
        {"link", report.finding->link},
        {"message", console.message_json(report.finding->message)}};
  }
  console.print(out.dump(2));
}

void print_text(
    const Console& console, const std::string& file, const evidence::BundleReport& report
) {
  if (report.finding) {
    console.say(
        {"cli.bundle-changed",
         {{"file", file},
          {"part", report.finding->file},
          {"link", report.finding->link},
          {"what", console.text(report.finding->message)}}}
    );
    return;
  }
  const std::pair<const char*, const std::vector<Message>*> lists[] = {
      {"cli.bundle-shown", &report.shown},
      {"cli.bundle-trusted", &report.trusted},
      {"cli.bundle-missing", &report.missing}};
  for (const auto& [title, list] : lists) {
    if (list->empty()) continue;
    console.say({title, {}});
    for (const Message& message : *list) console.print("  - " + console.text(message));
  }
  const bool whole = report.verdict == audit::Verdict::whole;
  console.say(
      {whole ? "cli.bundle-whole" : "cli.bundle-incomplete",
       {{"file", file}, {"agreement", report.agreement}, {"log", report.origin}}}
  );
}

}  // namespace

Result<std::string> read_bundle(const std::filesystem::path& file) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(file, failed);
  if (!failed && size > audit::most_ustar_bytes) {
    return tally::fail(
        ErrorKind::invalid,
        {"audit.ustar-too-large",
         {{"bytes", std::to_string(audit::most_ustar_bytes)},
          {"files", std::to_string(audit::most_ustar_files)}}}
    );
  }
  return read_text(file);
}

namespace {

// The agreement under which the log has a record of this process; empty: none.
Result<std::string> agreement_of(audit::LogStorage& log, const std::string& pid) {
  std::string found;
  const std::string wanted = Json(pid).dump();
  const auto each = [&](const audit::RecordView& record) {
    if (found.empty() && record.raw("pid") == wanted) found = record.agreement;
  };
  if (auto read = audit::for_each_record(log, 0, each); !read) return tally::fail(std::move(read));
  return found;
}

// Whether the agreement came into force in this log.
Result<bool> is_made_in(audit::LogStorage& log, const std::string& agreement) {
  bool found = false;
  const auto each = [&](const audit::RecordView& record) {
    if (record.agreement == agreement && record.type == "contract.finalized") found = true;
  };
  if (auto read = audit::for_each_record(log, 0, each); !read) return tally::fail(std::move(read));
  return found;
}

// Of the present log, and of those that were given up before it, the last one in which the
// agreement, or that of the process, was made; the present one when none is. Sets `agreement`.
Result<std::filesystem::path> log_with(const BundleOptions& options, std::string& agreement) {
  std::vector<std::filesystem::path> folders = audit::former_logs(options.folder);
  if (folders.empty() && !options.agreement.empty()) {
    agreement = options.agreement;
    return options.folder;
  }
  folders.push_back(options.folder);
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) {
    auto storage = open_folder(*folder);
    if (!storage) return tally::fail(std::move(storage));
    agreement = options.agreement;
    if (agreement.empty()) {
      auto found = agreement_of(**storage, options.pid);
      if (!found) return tally::fail(std::move(found));
      agreement = *std::move(found);
    }
    if (agreement.empty()) continue;
    const auto made = is_made_in(**storage, agreement);
    if (!made) return tl::unexpected(made.error());
    if (*made) return *folder;
  }
  return options.folder;
}

}  // namespace

int audit_bundle(const Console& console, const BundleOptions& options) {
  std::string agreement;
  const auto folder = log_with(options, agreement);
  if (!folder) return console.fail(folder.error(), usage);
  int code = done;
  const auto log = open_checked(console, *folder, code);
  if (!log) return code;
  const auto store = store::open_read_only(options.folder);
  if (!store) return console.fail(store.error(), usage);
  if (agreement.empty()) {
    return console.fail(Message{"cli.bundle-no-process", {{"pid", options.pid}}}, refused);
  }
  const auto collected = evidence::collect(*log->storage, **store, AgreementId(agreement));
  if (!collected) return console.fail(collected.error());
  const std::string bytes = collected->bundle.print();
  if (bytes.size() > audit::most_ustar_bytes) {
    return console.fail(
        Message{
            "audit.ustar-too-large",
            {{"bytes", std::to_string(audit::most_ustar_bytes)},
             {"files", std::to_string(audit::most_ustar_files)}}},
        refused
    );
  }
  const auto out = options.out.empty() ? std::filesystem::path("bundle.tar") : options.out;
  if (auto written = write_bytes(out, bytes); !written) return console.fail(written.error());
  if (console.json) {
    console.print(Json{
        {"file", out.string()},
        {"agreement", collected->bundle.agreement},
        {"log", collected->bundle.origin},
        {"size", collected->bundle.size},
        {"records", collected->records},
        {"behind", collected->behind},
        {"heads", collected->heads},
        {"bytes", bytes.size()}}
                      .dump(2));
    return done;
  }
  console.say(
      {"cli.bundle-written",
       {{"file", out.string()},
        {"records", std::to_string(collected->records)},
        {"size", std::to_string(collected->bundle.size)}}}
  );
  if (collected->behind != 0) {
    console.say({"cli.bundle-behind", {{"count", std::to_string(collected->behind)}}});
  }
  if (!collected->heads) console.say({"evidence.no-heads", {}});
  return done;
}

int audit_check_bundle(const Console& console, const CheckBundleOptions& options) {
  evidence::Belief belief;
  if (!options.anchors.empty()) {
    auto anchors = read_text(options.anchors);
    if (!anchors) return console.fail(anchors.error(), usage);
    if (auto good = identity::check_anchors(*anchors); !good) {
      return console.fail(good.error(), usage);
    }
    belief.anchors_pem = *std::move(anchors);
  }
  if (!options.vkey.empty() || !options.policy.empty()) {
    auto policy = believed(options.vkey, options.policy);
    if (!policy) return console.fail(policy.error(), usage);
    belief.policy = *std::move(policy);
  }
  const auto bytes = read_bundle(options.file);
  if (!bytes) return console.fail(bytes.error(), usage);
  const auto report = evidence::check_bundle(*bytes, belief);
  if (console.json) {
    print_json(console, report);
  } else {
    print_text(console, options.file.string(), report);
  }
  return static_cast<int>(report.verdict);
}

}  // namespace tally::cli
