// BlobStore in a folder of this machine. Makes the two folders below it if they are missing, for
// the owner alone.
#pragma once

#include <filesystem>
#include <memory>

#include "tally/custody/blob_store.hpp"

namespace tally::custody {

// Errors: invalid (custody.folder-missing, custody.file-foreign), unavailable
// (custody.file-failed).
Result<std::unique_ptr<BlobStore>> open_posix_blob_store(const std::filesystem::path& folder);

}  // namespace tally::custody
