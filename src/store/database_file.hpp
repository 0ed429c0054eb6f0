// The database file of a connector's folder: where it is, whether it is ours, and whose it is now.
// What writes it, reads it and copies it shares this.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tally/core/descriptor.hpp"
#include "tally/core/result.hpp"

#include "sqlite.hpp"

namespace tally::store {

constexpr std::int64_t application_id = 0x544c4c59;  // "TLLY"

inline std::string database_file(const std::filesystem::path& folder) {
  return folder.string() + "/tally.db";
}

// The file of a folder that this program may read. Errors: not_found (store.none), and those of
// check_folder_version.
Result<std::string> existing_database(const std::filesystem::path& folder);

// Against a second process, for as long as it is held. Errors: conflict (store.locked), unavailable
// (store.open-failed).
Result<Descriptor> lock_folder(const std::filesystem::path& folder);

// Errors: invalid (store.not-ours, store.newer-schema). Throws sqlite::Failure.
Result<void> check_database(sqlite::Connection& connection, const std::string& file);

// What a connection may hold in memory.
void bound_memory(sqlite::Connection& connection, int kib);

tl::unexpected<Error> read_failed(const sqlite::Failure& failure);

}  // namespace tally::store
