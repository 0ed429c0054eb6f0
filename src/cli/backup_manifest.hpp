// The manifest of a backup: every file with its size and digest, what the copy is of, and when it
// was made. It is written last: a folder without one is no backup.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tally/core/digest.hpp"
#include "tally/core/result.hpp"
#include "tally/core/store.hpp"

namespace tally::cli {

struct BackupFile {
  std::uint64_t bytes = 0;
  Digest digest{};
  bool operator==(const BackupFile&) const = default;
};

struct BackupManifest {
  std::string program;                      // the version that made it
  std::string participant;                  // its URI
  std::string made;                         // the time, RFC 3339
  std::string origin;                       // of the log
  LogMark log;                              // how far the log was
  bool held = false;                        // with what is held for others
  std::vector<std::string> folders;         // within the copied one, each behind the one it is in
  std::map<std::string, BackupFile> files;  // by path within the copied folder
};

// Where the copied folder lies in a backup.
std::filesystem::path copied_folder(const std::filesystem::path& backup);

// Copies a file that must not be there yet, mode 0600, durable but for its name, and says what was
// read. Errors: unavailable (cli.file-failed).
Result<BackupFile> copy_with_digest(
    const std::filesystem::path& from, const std::filesystem::path& to
);
// Errors: as above.
Result<BackupFile> digest_file(const std::filesystem::path& file);

// Errors: unavailable (cli.file-failed).
Result<void> write_manifest(const std::filesystem::path& backup, const BackupManifest& manifest);
// The manifest, once each file is there as it says and no other is. Errors: invalid
// (cli.backup-none, cli.backup-malformed, cli.backup-newer, cli.backup-file-changed,
// cli.backup-file-missing, cli.backup-file-foreign), unavailable (cli.file-failed).
Result<BackupManifest> check_manifest(const std::filesystem::path& backup);

}  // namespace tally::cli
