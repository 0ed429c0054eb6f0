// A new key for the log while the connector runs (docs/audit-log-format.md, key rotation): the key
// file, the record `key.rotated` and what the tree signs with are moved in the one order in which a
// crash at any step can be finished or undone at the next start (log_key.hpp). Home executor only.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "tally/audit/log_writer.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/json.hpp"
#include "tally/core/notices.hpp"

#include "log_key.hpp"

namespace tally::daemon {

struct LogKeyParts {
  audit::LogWriter& log;
  Clock& clock;
  Random& random;
  Worker& worker;
  Notices& notices;
  std::filesystem::path file;
};

class LogKeyRotation {
 public:
  LogKeyRotation(LogKeyParts parts, LogSigner current, audit::LogKeys keys)
      : parts_(std::move(parts)), current_(std::move(current)), keys_(std::move(keys)) {}

  // Once, before anything is signed: the tree signs with the current key and, as long as an overlap
  // lasts, with the one before too. Errors: those of former_log_key.
  Result<void> begin();

  // Both keys sign for `overlap`, then the old one is erased. `told` is called with the log's keys
  // once the record is durable. Answers {vkey, before, seq, overlapUntil}. Errors: conflict
  // daemon.rotating, daemon.rotations-most, daemon.log-key-overlap; unavailable
  // daemon.clock-stepped, daemon.log-key-file, and those of the log.
  awaitable<Result<Json>> rotate(Nanos overlap, std::function<void(const audit::LogKeys&)> told);

  // Erases the old key once its overlap has passed, after a record of that.
  awaitable<void> end_overlap();

  [[nodiscard]] const audit::LogKeys& keys() const { return keys_; }

 private:
  awaitable<Result<Json>> rotate_alone(
      Nanos overlap, std::function<void(const audit::LogKeys&)> told
  );

  LogKeyParts parts_;
  LogSigner current_;
  audit::LogKeys keys_;
  std::optional<Instant> overlap_until_;  // as long as the key before signs too
  bool rotating_ = false;
};

}  // namespace tally::daemon
