// Whether the parts of a copied folder belong together, so that a connector can go on with them.
#pragma once

#include <filesystem>
#include <string>

#include "tally/core/result.hpp"
#include "tally/core/store.hpp"

namespace tally::cli {

struct CopiedLog {
  std::string origin;
  LogMark at;
};

// Reads the whole log of the folder and what the database and the key of the log say of it; changes
// nothing. Errors: conflict (cli.copy-log-bad, cli.copy-database-ahead, cli.copy-log-key), those of
// store::open_read_only and of the log's files.
Result<CopiedLog> check_copy(const std::filesystem::path& folder);

}  // namespace tally::cli
