// The log on a real file system, and the thread that owns its writer.
#pragma once

#include <filesystem>
#include <memory>

#include "tally/audit/helper.hpp"
#include "tally/audit/log_storage.hpp"
#include "tally/audit/log_writer.hpp"
#include "tally/core/instant.hpp"

namespace tally::audit {

enum class FolderAccess { read_only, writable };

// `folder` exists already. Reading needs no right to write.
Result<std::unique_ptr<LogStorage>> open_log_folder(
    const std::filesystem::path& folder, FolderAccess access
);

// Runs the writer until it goes: commits while there is work, fills ahead while there is none. The
// contexts of those who wait must outlive it: it may still be inside a post to one of them.
class LogThread {
 public:
  // `between`: the least time between two syncs under load; 0 syncs as fast as the disk does.
  explicit LogThread(LogWriter& writer, Nanos between = 0);
  ~LogThread();  // commits what is queued, then ends; does not close the log
  LogThread(const LogThread&) = delete;
  LogThread& operator=(const LogThread&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A thread that waits for work. The tools have one; a connector's cores are its callers'.
class HelperThread final : public Helper {
 public:
  HelperThread();
  ~HelperThread() override;  // finishes what was begun
  HelperThread(const HelperThread&) = delete;
  HelperThread& operator=(const HelperThread&) = delete;
  void begin(std::function<void()> work) override;
  void wait() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::audit
