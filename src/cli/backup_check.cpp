#include "backup_check.hpp"

#include <memory>

#include "tally/audit/note.hpp"
#include "tally/audit/posix.hpp"
#include "tally/audit/recovery.hpp"
#include "tally/audit/tree.hpp"
#include "tally/audit/verify.hpp"
#include "tally/store/sqlite_store.hpp"

#include "connector_folder.hpp"

namespace tally::cli {

namespace {

tl::unexpected<Error> bad_log(const audit::VerifyReport& report) {
  const auto& finding = report.finding;
  return fail(
      ErrorKind::conflict,
      {"cli.copy-log-bad",
       {{"file", finding ? finding->file : "-"},
        {"seq", finding ? std::to_string(finding->seq) : "-"},
        {"link", finding ? finding->link : "-"}}}
  );
}

// A torn end is no fault: the machine stopped there, and the next start cuts it.
bool may_go_on(const audit::VerifyReport& report) {
  if (report.verdict == audit::Verdict::whole) return true;
  return report.verdict == audit::Verdict::incomplete && report.finding &&
         (report.finding->link == "tail" || report.finding->link == "tile");
}

}  // namespace

Result<CopiedLog> check_copy(const std::filesystem::path& folder) {
  auto log = audit::open_log_folder(folder / "log", audit::FolderAccess::read_only);
  if (!log) return fail(std::move(log));
  audit::HelperThread helper;
  const auto report = audit::verify_log(**log, audit::Depth::plain, &helper);
  if (!report.genesis || !may_go_on(report)) return bad_log(report);
  const CopiedLog copied{report.genesis->origin, {report.size(), report.leaf}};

  const auto store = store::open_read_only(folder);
  if (!store) return tl::unexpected(store.error());
  const auto mark = (*store)->mark();
  if (!mark) return tl::unexpected(mark.error());
  if (mark->size > copied.at.size) {
    return fail(
        ErrorKind::conflict,
        {"cli.copy-database-ahead",
         {{"size", std::to_string(mark->size)}, {"log", std::to_string(copied.at.size)}}}
    );
  }
  const auto key = log_public_key(folder);
  if (!key) return tl::unexpected(key.error());
  if (audit::make_verifier_key(copied.origin, *key) != report.keys.current()) {
    return fail(
        ErrorKind::conflict, {"cli.copy-log-key", {{"expected", report.keys.current().text()}}}
    );
  }
  return copied;
}

}  // namespace tally::cli
