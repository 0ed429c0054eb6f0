// The files of one log, as the writer, recovery and the verifier reach them: the seam at which
// tests fail writes, forget what was not synced and lie. Implementations:
// include/tally/audit/posix.hpp, tests/sim/.
//
// Errors of every call: unavailable, audit.disk-full where the disk had no room, else
// audit.file-failed {file, action, reason}. Calls block. A LogFile is for one thread at a time; a
// LogStorage for any, once lock() has returned, but for one at a time with the same name.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/result.hpp"

namespace tally::audit {

class LogFile {
 public:
  virtual ~LogFile() = default;
  virtual Result<std::uint64_t> size() = 0;
  // Reads at most out.size() bytes; fewer only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) = 0;
  // Writes all or fails; a failed write may have left a part.
  virtual Result<void> write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) = 0;
  // Durable on return: all bytes written so far and the size of the file. After a failure what is
  // on the disk is unknown, whatever a read shows.
  virtual Result<void> sync() = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  // Forgets what the page cache holds of a synced file, as far as the system lets one, so that the
  // next read comes from the disk. A failed sync leaves pages that look clean.
  virtual void drop_cache() = 0;
};

class LogStorage {
 public:
  virtual ~LogStorage() = default;
  // One writer per folder: conflict audit.log-locked when another process holds it. Held until this
  // object goes. Readers need no lock.
  virtual Result<void> lock() = 0;
  // Names of the files, sorted.
  virtual Result<std::vector<std::string>> list() = 0;
  virtual Result<std::unique_ptr<LogFile>> open(std::string_view name, bool writable) = 0;
  // A new empty file; its name is durable on return. Fails when it exists.
  virtual Result<std::unique_ptr<LogFile>> create(std::string_view name) = 0;
  // Makes the names of all files durable: a kill may have left one that only the cache knows.
  virtual Result<void> sync_names() = 0;
  // A small file as a whole; nullopt when there is none.
  virtual Result<std::optional<std::string>> read_small(std::string_view name) = 0;
  // Old or new, never a mixture, and durable on return.
  virtual Result<void> replace_small(std::string_view name, std::string_view text) = 0;
  // Removes a file; durable on return.
  virtual Result<void> remove(std::string_view name) = 0;
  virtual Result<std::uint64_t> free_bytes() = 0;
};

}  // namespace tally::audit
