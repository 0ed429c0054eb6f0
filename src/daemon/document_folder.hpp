// The folders whose JSON files an operator edits while the connector runs: assets/, policies/,
// rules/. Reading blocks: on a worker.
#pragma once

#include <filesystem>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tally/catalog/catalog.hpp"
#include "tally/core/digest.hpp"

namespace tally::daemon {

// The .json files of one folder in order of name. A file that cannot be read is an empty document:
// it is reported as one, and the rest goes on.
std::vector<catalog::Document> read_folder(
    const std::filesystem::path& folder, std::size_t most_bytes
);

// Changes whenever a file of one of the folders came, went or was written.
Digest fingerprint(const std::vector<std::filesystem::path>& folders);

// As the management API shows what is wrong with documents.
std::vector<Json> to_json(const std::vector<catalog::Problem>& problems, Lang lang);

}  // namespace tally::daemon
