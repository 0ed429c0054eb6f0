// Files that somebody named on the command line.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "tally/core/result.hpp"

namespace tally::cli {

// The whole file. Errors: invalid (cli.file-unreadable), also for a folder.
Result<std::string> read_text(const std::filesystem::path& file);

// Writes the whole file and makes the folders above it; not synced. Errors: invalid
// (cli.file-unwritable).
Result<void> write_bytes(const std::filesystem::path& file, std::string_view bytes);

}  // namespace tally::cli
