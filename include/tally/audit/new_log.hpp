// From one log of a connector to the next one, on the disk. A crash at any step is finished by
// doing the same again:
//
//   1. new-log    the order, from which log to which: durable first, removed last
//   2. log.new/   the new log with its first record
//   3.            log/ becomes log-<n>/, then log.new/ becomes log/
//   4.            what depends on the log follows it: the caller's part
//   5.            new-log is removed
//
// While the order is there nobody may write to either log. The one before stays readable in
// log-<n>/, with the proofs beside it, and is never written to again. All functions block for the
// disk; one caller at a time. Errors, unless others are named: unavailable audit.file-failed {file,
// action, reason}, and those of LogStorage.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "tally/audit/given_up.hpp"

namespace tally::audit {

// Whether an order is there that was not finished.
bool new_log_under_way(const std::filesystem::path& connector);

// The folders of the logs before the current one, the first one first.
std::vector<std::filesystem::path> former_logs(const std::filesystem::path& connector);

struct NewLogOrder {
  std::filesystem::path connector;               // holds log/
  std::span<const std::uint8_t> log_public_key;  // Ed25519, of the log to come
  bool without_proof = false;  // the log is given up though nobody's proof of a loss is beside it
};

struct NewLog {
  Genesis genesis;  // `follows` says what was given up
  LogMark mark;     // of one record
};

// Steps 1 to 3, from where an earlier try stopped; an order that is there already decides, not
// `without_proof`. Errors: conflict audit.log-locked, audit.new-log-unproven (no proof, and
// without_proof is not said: nothing was changed), audit.log-exists (log-<n> is there),
// audit.new-log-other (the folders do not fit the order); those of give_up.
Result<NewLog> begin_new_log(const NewLogOrder& order, Clock& clock, Random& random);

// Step 5.
Result<void> finish_new_log(const std::filesystem::path& connector);

}  // namespace tally::audit
