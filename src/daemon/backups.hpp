// What a backup of a running connector needs of it: the database as it is at one moment, and how
// far the log is at the same. `tally backup` copies everything else beside it, without stopping a
// use.
#pragma once

#include <filesystem>
#include <memory>

#include "tally/audit/appender.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/json.hpp"
#include "tally/store/sqlite_store.hpp"

namespace tally::daemon {

struct BackupParts {
  store::SqliteStore& store;
  const audit::LogAppender& log;
  Worker& worker;
  Clock& clock;
  Random& random;
};

class Backups {
 public:
  Backups(BackupParts parts, std::filesystem::path connector);

  // Removes copies that nobody fetched. Errors: unavailable (daemon.file-failed).
  Result<void> tidy();
  // {"database": the copy's name in the connector's folder, "log": {"size", "leaf"}}. Whoever asked
  // takes the copy away; one that was left is removed first. Home context. Errors: those of
  // Frozen::write, conflict (daemon.backup-under-way), unavailable (daemon.backup-folder).
  awaitable<Result<Json>> make();

 private:
  BackupParts parts_;
  std::filesystem::path connector_;
  // Shared: a stopping connector may drop a copy that is being written after it dropped this.
  std::shared_ptr<bool> making_ = std::make_shared<bool>(false);
};

}  // namespace tally::daemon
