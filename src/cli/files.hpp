// Files that somebody named on the command line.
#pragma once

#include <filesystem>
#include <string>

#include "tally/core/result.hpp"

namespace tally::cli {

// The whole file. Errors: invalid (cli.file-unreadable), also for a folder.
Result<std::string> read_text(const std::filesystem::path& file);

}  // namespace tally::cli
