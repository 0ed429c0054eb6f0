#include "log_folder.hpp"

#include "tally/audit/posix.hpp"
#include "tally/audit/pruned.hpp"
#include "tally/audit/verify.hpp"

namespace tally::cli {

Result<std::unique_ptr<audit::LogStorage>> open_folder(const std::filesystem::path& folder) {
  const auto inner = folder / "log";
  return audit::open_log_folder(
      std::filesystem::is_directory(inner) ? inner : folder, audit::FolderAccess::read_only
  );
}

void say_pruned(
    const Console& console, audit::LogStorage& storage, const std::filesystem::path& folder
) {
  const auto first = audit::first_kept(storage);
  if (!first || *first == 0) return;
  console.fail(
      Message{
          "cli.records-pruned", {{"folder", folder.string()}, {"first", std::to_string(*first)}}},
      done
  );
}

std::optional<CheckedLog> open_checked(
    const Console& console, const std::filesystem::path& folder, int& code
) {
  auto storage = open_folder(folder);
  if (!storage) {
    code = console.fail(storage.error(), usage);
    return std::nullopt;
  }
  const auto report = audit::verify_log(**storage);
  const bool none = !report.genesis || report.size() == 0;
  if (report.verdict == audit::Verdict::changed || none) {
    Message why{
        none ? "cli.log-none" : "cli.log-changed",
        {{"folder", folder.string()}, {"seq", "-"}, {"file", "-"}, {"link", "-"}, {"what", "-"}}};
    if (report.finding) {
      why.params["seq"] = std::to_string(report.finding->seq);
      why.params["file"] = report.finding->file;
      why.params["link"] = report.finding->link;
      why.params["what"] = console.text(report.finding->message);
    }
    code = console.fail(why, report.verdict == audit::Verdict::changed ? refused : usage);
    return std::nullopt;
  }
  CheckedLog log;
  log.storage = std::move(*storage);
  log.folder = folder.string();
  log.origin = report.genesis->origin;
  log.records = report.size();
  say_pruned(console, *log.storage, folder);
  log.whole = report.verdict == audit::Verdict::whole;
  return log;
}

}  // namespace tally::cli
