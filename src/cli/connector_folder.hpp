// The files of a connector's folder, as the commands that make and edit one write them: whole or
// not at all, and tally.json in the order in which a person wrote it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>
#include <sys/types.h>

#include "tally/core/digest.hpp"
#include "tally/core/result.hpp"

#include "console.hpp"

namespace tally::cli {

using Ordered = nlohmann::ordered_json;

// cli.file-failed with the reason that errno gives.
Error file_error(const std::filesystem::path& file, const std::string& action);

// A new file, synced. Errors: unavailable (cli.file-failed), also where it exists.
Result<void> create_file(const std::filesystem::path& file, std::string_view text, mode_t mode);
// Replaces a file whole: written beside it, synced, renamed. Errors: as above.
Result<void> replace_file(const std::filesystem::path& file, std::string_view text, mode_t mode);

// Makes the names in a folder durable. Errors: as above.
Result<void> sync_folder(const std::filesystem::path& folder);

// FOLDER/tally.json with a participant in it. Errors: invalid (cli.file-unreadable,
// cli.config-malformed).
Result<Ordered> read_config(const std::filesystem::path& folder);
// The public key of the log, from the private one that tally.json names. Errors: invalid
// (cli.no-connector, cli.config-malformed, cli.log-key-malformed).
Result<Bytes> log_public_key(const std::filesystem::path& folder);
// Reads tally.json, lets `change` edit it and writes it back. Returns the exit code; what failed
// was said.
int edit_config(
    const Console& console,
    const std::filesystem::path& folder,
    const std::function<void(Ordered&)>& change
);

// The entries of a list, without those for which `is_it` holds; for a list that is replaced in
// part.
Ordered without(const Ordered& list, const std::function<bool(const Ordered&)>& is_it);

}  // namespace tally::cli
