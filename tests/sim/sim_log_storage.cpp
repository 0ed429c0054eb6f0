#include "sim/sim_log_storage.hpp"

#include <algorithm>

namespace tally::sim {
namespace {

tl::unexpected<Error> failed(const std::string& file, const char* action, DiskFault fault) {
  if (fault == DiskFault::no_space) {
    return fail(ErrorKind::unavailable, {"audit.disk-full", {{"file", file}, {"action", action}}});
  }
  return fail(
      ErrorKind::unavailable,
      {"audit.file-failed", {{"file", file}, {"action", action}, {"reason", name_of(fault)}}}
  );
}

template <class T>
Result<T> answer(DiskResult<T> result, const std::string& file, const char* action) {
  if (!result) return failed(file, action, result.error());
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return *std::move(result);
  }
}

class SimLogFile final : public audit::LogFile {
 public:
  SimLogFile(SimDisk& disk, SimDisk::File file, std::string name, bool writable)
      : disk_(disk), file_(std::move(file)), name_(std::move(name)), writable_(writable) {}

  Result<std::uint64_t> size() override { return answer(disk_.size(file_), name_, "stat"); }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    return answer(disk_.read_at(file_, offset, out), name_, "read");
  }
  Result<void> write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) override {
    if (!writable_) return failed(name_, "write", DiskFault::io);
    return answer(disk_.write_at(file_, offset, bytes), name_, "write");
  }
  Result<void> sync() override { return answer(disk_.sync(file_), name_, "sync"); }
  Result<void> truncate(std::uint64_t size) override {
    if (!writable_) return failed(name_, "truncate", DiskFault::io);
    return answer(disk_.truncate(file_, size), name_, "truncate");
  }
  void drop_cache() override { disk_.drop_cache(file_); }

 private:
  SimDisk& disk_;
  SimDisk::File file_;
  std::string name_;
  bool writable_;
};

}  // namespace

SimLogStorage::SimLogStorage(SimDisk& disk, std::string folder)
    : disk_(disk), folder_(std::move(folder)) {}

SimLogStorage::~SimLogStorage() {
  if (locked_) disk_.unlock(folder_);
}

std::string SimLogStorage::path(std::string_view name) const {
  return folder_ + "/" + std::string(name);
}

Result<void> SimLogStorage::lock() {
  if (locked_) return {};
  if (!disk_.lock(folder_)) {
    return fail(ErrorKind::conflict, {"audit.log-locked", {{"folder", folder_}}});
  }
  locked_ = true;
  return {};
}

Result<std::vector<std::string>> SimLogStorage::list() {
  if (!disk_.is_on()) return failed(folder_, "list", DiskFault::dead);
  return disk_.list(folder_);
}

Result<std::unique_ptr<audit::LogFile>> SimLogStorage::open(std::string_view name, bool writable) {
  auto file = disk_.open(path(name));
  if (!file) return failed(path(name), "open", file.error());
  return std::make_unique<SimLogFile>(disk_, *std::move(file), path(name), writable);
}

Result<std::unique_ptr<audit::LogFile>> SimLogStorage::create(std::string_view name) {
  auto file = disk_.create(path(name));
  if (!file) return failed(path(name), "create", file.error());
  if (const auto synced = disk_.sync_names(); !synced) {
    return failed(path(name), "sync", synced.error());
  }
  return std::make_unique<SimLogFile>(disk_, *std::move(file), path(name), true);
}

Result<void> SimLogStorage::sync_names() {
  return answer(disk_.sync_names(), folder_, "sync");
}

Result<std::optional<std::string>> SimLogStorage::read_small(std::string_view name) {
  if (!disk_.is_on()) return failed(path(name), "read", DiskFault::dead);
  const auto bytes = disk_.contents(path(name));
  if (!bytes) return std::nullopt;
  return std::string(bytes->begin(), bytes->end());
}

Result<void> SimLogStorage::replace_small(std::string_view name, std::string_view text) {
  const std::string target = path(name);
  const std::string next = target + ".new";
  // One that an earlier failure or cut left behind.
  if (disk_.exists(next)) (void)disk_.remove(next);
  const auto file = disk_.create(next);
  if (!file) return failed(next, "create", file.error());
  const std::span<const std::uint8_t> bytes(
      reinterpret_cast<const std::uint8_t*>(text.data()), text.size()
  );
  DiskResult<void> done = disk_.write_at(*file, 0, bytes);
  if (done) done = disk_.sync(*file);
  if (done) done = disk_.rename(next, target);
  if (done) done = disk_.sync_names();
  return answer(done, target, "replace");
}

Result<void> SimLogStorage::remove(std::string_view name) {
  DiskResult<void> done = disk_.remove(path(name));
  if (done) done = disk_.sync_names();
  return answer(done, path(name), "remove");
}

Result<std::uint64_t> SimLogStorage::free_bytes() {
  return answer(disk_.free_bytes(), folder_, "statfs");
}

LogPump::LogPump(Node& node, audit::LogWriter& writer) : node_(node), writer_(writer) {
  writer_.on_work([this] { schedule(); });
  schedule();  // a torn tail may wait to be recorded
}

LogPump::~LogPump() {
  node_.world().forget(this);
}

void LogPump::schedule() {
  if (scheduled_ || !node_.is_on()) return;
  scheduled_ = true;
  const Nanos delay = node_.world().chance().span(least_delay, most_delay);
  node_.world().after(delay, this, [this] {
    scheduled_ = false;
    if (!node_.is_on()) return;
    if (!writer_.commit_batch()) return;
    ++batches_;
    // More may have been queued while this batch was written.
    schedule();
  });
}

}  // namespace tally::sim
