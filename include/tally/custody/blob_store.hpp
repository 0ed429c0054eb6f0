// The files of the custody, as it reaches them: the seam at which tests fail writes and forget what
// was not synced. Implementations: include/tally/custody/posix_blob_store.hpp, tests/sim/.
//
// Names are "keys/<file>" and "blobs/<file>"; both folders exist. Errors of every call: not_found
// (custody.file-missing), unavailable (custody.disk-full, custody.file-failed {file, action,
// reason}), invalid (custody.file-foreign: a link, no plain file, or open to others: nobody here
// made it so). Calls block, so they are made through Worker; distinct files from distinct threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/result.hpp"

namespace tally::custody {

class BlobFile {
 public:
  virtual ~BlobFile() = default;
  virtual Result<std::uint64_t> size() = 0;
  // Fewer bytes than out.size() only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) = 0;
  // Writes all or fails; a failed write may have left a part.
  virtual Result<void> write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) = 0;
  // Durable on return: the bytes written so far and the size.
  virtual Result<void> sync() = 0;
};

class BlobStore {
 public:
  virtual ~BlobStore() = default;
  // File names of one folder ("keys", "blobs"), without the folder, sorted.
  virtual Result<std::vector<std::string>> list(std::string_view folder) = 0;
  virtual Result<bool> exists(std::string_view name) = 0;
  virtual Result<std::unique_ptr<BlobFile>> open(std::string_view name) = 0;  // for reading
  // A new empty file; its name is durable on return. Fails when it exists.
  virtual Result<std::unique_ptr<BlobFile>> create(std::string_view name) = 0;
  // Durable on return. Fails when `to` exists.
  virtual Result<void> rename(std::string_view from, std::string_view to) = 0;
  // The two change their names in one step, durable on return. Fails when one is not there.
  virtual Result<void> exchange(std::string_view one, std::string_view other) = 0;
  // Durable on return; a missing file is no error.
  virtual Result<void> remove(std::string_view name) = 0;
  // Overwrites the bytes where they lie, makes that durable, then removes the name, durably. A
  // missing file is no error.
  virtual Result<void> shred(std::string_view name) = 0;
};

}  // namespace tally::custody
