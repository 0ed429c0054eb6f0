// Which version of the program wrote a connector's folder last, and in which format: a folder of a
// newer format is refused before anything in it is looked at.
#pragma once

#include <filesystem>

#include "tally/core/result.hpp"

namespace tally::store {

// Raised by whoever changes what lies in a folder so that an older program would misread it: the
// database, the log, the custody, the files beside them.
constexpr int folder_format = 1;

// Errors: invalid (store.newer-folder, store.version-malformed), unavailable (store.open-failed). A
// folder without the file is a new one, or of before the first version.
Result<void> check_folder_version(const std::filesystem::path& folder);
// Writes this program's version where another stands; durable on return. Whoever calls has the
// folder to itself. Errors: unavailable (store.open-failed).
Result<void> mark_folder_version(const std::filesystem::path& folder);

}  // namespace tally::store
