// What of a connector's folder goes into a backup, and what never does.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tally/core/result.hpp"

namespace tally::cli {

enum class Held { left_out, included };

struct BackupSet {
  std::vector<std::filesystem::path>
      files;  // relative to the folder, sorted; none of database, log
  std::vector<std::filesystem::path> folders;  // each behind the one it is in; also empty ones
  std::vector<std::string> left_out;           // links, sockets and the like
};

// The regular files of a connector's folder but for its database and its log, which are copied as
// they were at one moment, and for what belongs to a running process. What is held for others and
// its keys, and facts about persons, only with Held::included: a copy of them undoes deletions.
// Errors: unavailable (cli.file-failed).
Result<BackupSet> backup_set(const std::filesystem::path& folder, Held held);

// Files that tally.json names outside the folder, by absolute path. Errors: those of read_config.
Result<std::vector<std::string>> named_outside(const std::filesystem::path& folder);

}  // namespace tally::cli
