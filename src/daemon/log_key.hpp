// The private key of the log on the disk while it is being changed for another one, so that a crash
// at any step is finished or undone at the next start. Beside the configured file, FILE:
//
//   1. FILE.new   the next key, durable before the log names it
//   2.            the `key.rotated` record is durable
//   3. FILE.old   is FILE under another name; then FILE.new becomes FILE
//   4.            at the end of the overlap FILE.old is overwritten and removed
//
// FILE is there at every moment, and is either key. All functions block for the disk; one thread at
// a time. Errors: unavailable daemon.log-key-file {file, action, reason}, unless another is named.
#pragma once

#include <filesystem>
#include <optional>

#include "tally/audit/key_rotation.hpp"
#include "tally/audit/note.hpp"
#include "tally/core/result.hpp"

namespace tally::daemon {

struct LogSigner {
  audit::VerifierKey key;
  audit::Signer signer;
};

// The key in a file, under the name of the log. Errors: invalid daemon.log-key-malformed, and those
// of read_key_file.
Result<LogSigner> load_log_signer(const std::filesystem::path& file, const std::string& origin);

// Step 1. Errors: conflict daemon.log-key-overlap (FILE.old is still there).
Result<LogSigner> make_next_log_key(const std::filesystem::path& file, const std::string& origin);
// Instead of step 2.
Result<void> drop_next_log_key(const std::filesystem::path& file);
// Step 3. Does nothing that is done already.
Result<void> take_next_log_key(const std::filesystem::path& file);
// Step 4.
Result<void> erase_former_log_key(const std::filesystem::path& file);

// At a start: finishes step 3 when the log names the key in FILE.new as its current one, else
// undoes step 1. In a log that never had another key FILE.old is erased too. Errors: conflict
// daemon.log-key-other (FILE is not the current key): a log is not extended that cannot be signed.
Result<void> settle_log_key(const std::filesystem::path& file, const audit::LogKeys& keys);
// The key before the current one, as long as FILE.old holds it.
Result<std::optional<LogSigner>> former_log_key(
    const std::filesystem::path& file, const audit::LogKeys& keys
);

}  // namespace tally::daemon
