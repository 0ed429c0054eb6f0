// The logs that `tally audit` reads: a log folder, or a connector's folder with `log` in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tally/audit/log_storage.hpp"
#include "tally/core/result.hpp"

#include "console.hpp"

namespace tally::cli {

// For reading, without a lock. Errors: of the folder.
Result<std::unique_ptr<audit::LogStorage>> open_folder(const std::filesystem::path& folder);

// Says on standard error that the log begins behind records that were pruned, if it does: whatever
// else is said of it is not said of these.
void say_pruned(
    const Console& console, audit::LogStorage& storage, const std::filesystem::path& folder
);

struct CheckedLog {
  std::unique_ptr<audit::LogStorage> storage;
  std::string folder;
  std::string origin;
  std::uint64_t records = 0;  // found good, from the first on, with those that were pruned
  bool whole = true;          // false: unfinished behind them, as beside a running connector
};

// Opens and verifies a log before anything is said about it. One that was changed, or is none, is
// not used: nothing, after saying why on standard error; `code` is what to exit with (1 changed, 3
// no log). An unfinished end is no hindrance: what stands before it is good.
std::optional<CheckedLog> open_checked(
    const Console& console, const std::filesystem::path& folder, int& code
);

}  // namespace tally::cli
