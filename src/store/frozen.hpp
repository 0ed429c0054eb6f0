// The database file at one moment: a read transaction on a connection of its own.
#pragma once

#include <memory>
#include <string>

#include "tally/core/descriptor.hpp"
#include "tally/store/sqlite_store.hpp"

namespace tally::store {

// The state of `file` as it is now; `lock` is held as long. Errors: unavailable
// (store.read-failed).
Result<std::unique_ptr<Frozen>> freeze_database(
    const std::string& file, const std::string& vfs, Descriptor lock = {}
);

}  // namespace tally::store
