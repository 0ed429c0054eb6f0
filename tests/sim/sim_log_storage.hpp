// The log of a simulated connector: audit::LogStorage over a SimDisk.
#pragma once

#include <memory>
#include <string>

#include "tally/audit/log_storage.hpp"

#include "sim/disk.hpp"

namespace tally::sim {

class SimLogStorage final : public audit::LogStorage {
 public:
  // `sync_lies`: sync says yes and does nothing, as a build that acknowledges before the sync would
  // behave. Only for showing that a test notices.
  SimLogStorage(SimDisk& disk, std::string folder, bool sync_lies = false);
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
  bool sync_lies_;
  bool locked_ = false;
};

}  // namespace tally::sim
