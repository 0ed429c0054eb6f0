// `tally backup`: a consistent copy of a connector's folder, made while it serves or while it is
// off, and `tally restore`, which checks all of it before it writes anything.
#pragma once

#include <filesystem>

#include "console.hpp"
#include "management.hpp"

namespace tally::cli {

struct BackupOptions {
  Connection connection;         // the connector's folder; the rest if it runs
  std::filesystem::path target;  // not there, or empty
  bool held = false;             // also what is held for others, and facts about persons
};
// Exit codes: done; refused, with what failed said, and no manifest in the target.
int back_up(const Console& console, const BackupOptions& options);

struct RestoreOptions {
  std::filesystem::path backup;
  std::filesystem::path folder;  // not there, or empty
};
// Exit codes: done; refused: nothing was written.
int restore(const Console& console, const RestoreOptions& options);

}  // namespace tally::cli
