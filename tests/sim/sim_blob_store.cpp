#include "sim/sim_blob_store.hpp"

#include <utility>

namespace tally::sim {

namespace {

tl::unexpected<Error> failed(DiskFault fault, const std::string& file) {
  if (fault == DiskFault::missing) {
    return fail(ErrorKind::not_found, {"custody.file-missing", {{"file", file}}});
  }
  if (fault == DiskFault::no_space) {
    return fail(ErrorKind::unavailable, {"custody.disk-full", {{"file", file}}});
  }
  return fail(
      ErrorKind::unavailable,
      {"custody.file-failed", {{"file", file}, {"action", "use"}, {"reason", name_of(fault)}}}
  );
}

template <class T>
Result<T> passed_on(DiskResult<T> result, const std::string& file) {
  if (!result) return failed(result.error(), file);
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return std::move(*result);
  }
}

class SimBlobFile final : public custody::BlobFile {
 public:
  SimBlobFile(SimDisk& disk, SimDisk::File file, std::string name)
      : disk_(disk), file_(std::move(file)), name_(std::move(name)) {}

  Result<std::uint64_t> size() override { return passed_on(disk_.size(file_), name_); }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    return passed_on(disk_.read_at(file_, offset, out), name_);
  }
  Result<void> write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) override {
    return passed_on(disk_.write_at(file_, offset, bytes), name_);
  }
  Result<void> sync() override { return passed_on(disk_.sync(file_), name_); }

 private:
  SimDisk& disk_;
  SimDisk::File file_;
  const std::string name_;
};

}  // namespace

SimBlobStore::SimBlobStore(SimDisk& disk, std::string folder)
    : disk_(disk), folder_(std::move(folder)) {}

std::string SimBlobStore::path(std::string_view name) const {
  return folder_ + "/" + std::string(name);
}

Result<std::vector<std::string>> SimBlobStore::list(std::string_view folder) {
  if (!disk_.is_on()) return failed(DiskFault::dead, path(folder));
  return disk_.list(path(folder));
}

Result<bool> SimBlobStore::exists(std::string_view name) {
  if (!disk_.is_on()) return failed(DiskFault::dead, path(name));
  return disk_.exists(path(name));
}

Result<std::unique_ptr<custody::BlobFile>> SimBlobStore::open(std::string_view name) {
  auto file = disk_.open(path(name));
  if (!file) return failed(file.error(), path(name));
  return std::unique_ptr<custody::BlobFile>(
      new SimBlobFile(disk_, std::move(*file), std::string(name))
  );
}

Result<std::unique_ptr<custody::BlobFile>> SimBlobStore::create(std::string_view name) {
  auto file = disk_.create(path(name));
  if (!file) return failed(file.error(), path(name));
  if (auto synced = disk_.sync_names(); !synced) return failed(synced.error(), path(name));
  return std::unique_ptr<custody::BlobFile>(
      new SimBlobFile(disk_, std::move(*file), std::string(name))
  );
}

Result<void> SimBlobStore::rename(std::string_view from, std::string_view to) {
  if (!fail_renames_to.empty() && to.ends_with(fail_renames_to)) {
    return failed(DiskFault::io, path(to));
  }
  if (disk_.exists(path(to))) return failed(DiskFault::exists, path(to));
  if (auto moved = disk_.rename(path(from), path(to)); !moved) {
    return failed(moved.error(), path(from));
  }
  return passed_on(disk_.sync_names(), path(to));
}

Result<void> SimBlobStore::exchange(std::string_view one, std::string_view other) {
  if (auto moved = disk_.exchange(path(one), path(other)); !moved) {
    return failed(moved.error(), path(one));
  }
  return passed_on(disk_.sync_names(), path(one));
}

Result<void> SimBlobStore::remove(std::string_view name) {
  const auto removed = disk_.remove(path(name));
  if (!removed && removed.error() != DiskFault::missing) return failed(removed.error(), path(name));
  return passed_on(disk_.sync_names(), path(name));
}

Result<void> SimBlobStore::shred(std::string_view name) {
  if (fail_shred) return failed(DiskFault::io, path(name));
  const auto file = disk_.open(path(name));
  if (!file && file.error() == DiskFault::missing) {
    return passed_on(disk_.sync_names(), path(name));
  }
  if (!file) return failed(file.error(), path(name));
  const auto size = disk_.size(*file);
  if (!size) return failed(size.error(), path(name));
  const std::vector<std::uint8_t> zeros(static_cast<std::size_t>(*size));
  if (auto written = disk_.write_at(*file, 0, zeros); !written) {
    return failed(written.error(), path(name));
  }
  if (auto synced = disk_.sync(*file); !synced) return failed(synced.error(), path(name));
  return remove(name);
}

}  // namespace tally::sim
