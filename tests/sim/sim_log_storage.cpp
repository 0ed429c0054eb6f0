#include "sim/sim_log_storage.hpp"

#include <utility>

#include "tally/core/digest.hpp"

namespace tally::sim {
namespace {

tl::unexpected<Error> failed(std::string_view file, std::string_view action, DiskFault fault) {
  if (fault == DiskFault::no_space) {
    return fail(ErrorKind::unavailable, {"audit.disk-full", {{"file", std::string(file)}}});
  }
  return fail(
      ErrorKind::unavailable,
      {"audit.file-failed",
       {{"file", std::string(file)}, {"action", std::string(action)}, {"reason", name_of(fault)}}}
  );
}

class SimLogFile final : public audit::LogFile {
 public:
  SimLogFile(SimDisk& disk, SimDisk::File file, std::string name, bool sync_lies)
      : disk_(disk), file_(std::move(file)), name_(std::move(name)), sync_lies_(sync_lies) {}

  Result<std::uint64_t> size() override {
    const auto size = disk_.size(file_);
    if (!size) return failed(name_, "stat", size.error());
    return *size;
  }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    const auto got = disk_.read_at(file_, offset, out);
    if (!got) return failed(name_, "read", got.error());
    return *got;
  }
  Result<void> write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) override {
    const auto written = disk_.write_at(file_, offset, bytes);
    if (!written) return failed(name_, "write", written.error());
    return {};
  }
  Result<void> sync() override {
    if (sync_lies_) return {};
    const auto synced = disk_.sync(file_);
    if (!synced) return failed(name_, "sync", synced.error());
    return {};
  }
  Result<void> truncate(std::uint64_t size) override {
    const auto cut = disk_.truncate(file_, size);
    if (!cut) return failed(name_, "truncate", cut.error());
    return {};
  }
  void drop_cache() override { disk_.drop_cache(file_); }

 private:
  SimDisk& disk_;
  SimDisk::File file_;
  std::string name_;
  bool sync_lies_;
};

}  // namespace

SimLogStorage::SimLogStorage(SimDisk& disk, std::string folder, bool sync_lies)
    : disk_(disk), folder_(std::move(folder)), sync_lies_(sync_lies) {}

SimLogStorage::~SimLogStorage() {
  if (locked_) disk_.unlock(folder_);
}

std::string SimLogStorage::path(std::string_view name) const {
  return folder_ + "/" + std::string(name);
}

Result<void> SimLogStorage::lock() {
  if (locked_) return {};
  if (!disk_.lock(folder_)) return fail(ErrorKind::conflict, {"audit.log-locked", {}});
  locked_ = true;
  return {};
}

Result<std::vector<std::string>> SimLogStorage::list() {
  return disk_.list(folder_);
}

Result<std::unique_ptr<audit::LogFile>> SimLogStorage::open(std::string_view name, bool) {
  auto file = disk_.open(path(name));
  if (!file) return failed(name, "open", file.error());
  return std::make_unique<SimLogFile>(disk_, *std::move(file), std::string(name), sync_lies_);
}

Result<std::unique_ptr<audit::LogFile>> SimLogStorage::create(std::string_view name) {
  auto file = disk_.create(path(name));
  if (!file) return failed(name, "create", file.error());
  if (auto synced = sync_names(); !synced) return fail(std::move(synced));
  return std::make_unique<SimLogFile>(disk_, *std::move(file), std::string(name), sync_lies_);
}

Result<void> SimLogStorage::sync_names() {
  const auto synced = disk_.sync_names();
  if (!synced) return failed(".", "sync", synced.error());
  return {};
}

Result<std::optional<std::string>> SimLogStorage::read_small(std::string_view name) {
  const auto file = disk_.open(path(name));
  if (!file && file.error() == DiskFault::missing) return std::optional<std::string>();
  if (!file) return failed(name, "open", file.error());
  const auto size = disk_.size(*file);
  if (!size) return failed(name, "stat", size.error());
  Bytes bytes(*size);
  const auto got = disk_.read_at(*file, 0, bytes);
  if (!got) return failed(name, "read", got.error());
  bytes.resize(*got);
  return std::optional<std::string>(std::string(bytes.begin(), bytes.end()));
}

Result<void> SimLogStorage::replace_small(std::string_view name, std::string_view text) {
  const std::string temporary = path(name) + ".new";
  if (disk_.exists(temporary)) {
    if (const auto gone = disk_.remove(temporary); !gone) {
      return failed(name, "remove", gone.error());
    }
  }
  const auto file = disk_.create(temporary);
  if (!file) return failed(name, "create", file.error());
  const auto written = disk_.write_at(*file, 0, as_bytes(text));
  if (!written) return failed(name, "write", written.error());
  const auto synced = disk_.sync(*file);
  if (!synced) return failed(name, "sync", synced.error());
  const auto renamed = disk_.rename(temporary, path(name));
  if (!renamed) return failed(name, "rename", renamed.error());
  return sync_names();
}

Result<void> SimLogStorage::remove(std::string_view name) {
  const auto gone = disk_.remove(path(name));
  if (!gone) return failed(name, "remove", gone.error());
  return sync_names();
}

Result<std::uint64_t> SimLogStorage::free_bytes() {
  const auto free = disk_.free_bytes();
  if (!free) return failed(".", "stat", free.error());
  return *free;
}

}  // namespace tally::sim
