// audit::LogStorage on a SimDisk, and the pump that runs a LogWriter as events of a World.
#pragma once

#include <memory>
#include <string>

#include "tally/audit/log_storage.hpp"
#include "tally/audit/log_writer.hpp"

#include "sim/disk.hpp"
#include "sim/node.hpp"

namespace tally::sim {

class SimLogStorage final : public audit::LogStorage {
 public:
  explicit SimLogStorage(SimDisk& disk, std::string folder = "log");
  ~SimLogStorage() override;  // lets go of the lock

  Result<void> lock() override;
  Result<std::vector<std::string>> list() override;
  Result<std::unique_ptr<audit::LogFile>> open(std::string_view name, bool writable) override;
  Result<std::unique_ptr<audit::LogFile>> create(std::string_view name) override;
  Result<void> sync_names() override;
  Result<std::optional<std::string>> read_small(std::string_view name) override;
  Result<void> replace_small(std::string_view name, std::string_view text) override;
  Result<void> remove(std::string_view name) override;
  Result<std::uint64_t> free_bytes() override;

 private:
  [[nodiscard]] std::string path(std::string_view name) const;
  SimDisk& disk_;
  std::string folder_;
  bool locked_ = false;
};

// What audit::LogThread is in the daemon: commits while there is work, each batch after a delay by
// the seed. Ends with the node's power or with itself.
class LogPump {
 public:
  LogPump(Node& node, audit::LogWriter& writer);
  ~LogPump();
  LogPump(const LogPump&) = delete;
  LogPump& operator=(const LogPump&) = delete;

  Nanos least_delay = 50'000;
  Nanos most_delay = milliseconds(5);
  [[nodiscard]] std::uint64_t batches() const { return batches_; }

 private:
  void schedule();
  Node& node_;
  audit::LogWriter& writer_;
  bool scheduled_ = false;
  std::uint64_t batches_ = 0;
};

}  // namespace tally::sim
