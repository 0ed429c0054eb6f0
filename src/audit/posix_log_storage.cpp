#include <algorithm>
#include <cerrno>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tally/audit/posix.hpp"
#include "tally/core/descriptor.hpp"

#include "log_format.hpp"

namespace tally::audit {
namespace {

// A small file is small: anything larger is not ours.
constexpr std::size_t small_file_bytes = 1 << 20;

tl::unexpected<Error> system_failure(
    std::string_view file, std::string_view action, int error = errno
) {
  if (error == ENOSPC || error == EDQUOT) {
    return fail(ErrorKind::unavailable, {"audit.disk-full", {{"file", std::string(file)}}});
  }
  return fail(
      ErrorKind::unavailable,
      {"audit.file-failed",
       {{"file", std::string(file)},
        {"action", std::string(action)},
        {"reason", std::strerror(error)}}}
  );
}

Result<std::size_t> read_fully(
    int fd, std::string_view name, std::uint64_t offset, std::span<std::uint8_t> out
) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got =
        ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure(name, "read");
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<void> write_fully(
    int fd, std::string_view name, std::uint64_t offset, std::span<const std::uint8_t> bytes
) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put =
        ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return system_failure(name, "write", put == 0 ? EIO : errno);
    done += static_cast<std::size_t>(put);
  }
  return {};
}

class PosixLogFile final : public LogFile {
 public:
  PosixLogFile(Descriptor fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Result<std::uint64_t> size() override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return system_failure(name_, "stat");
    return static_cast<std::uint64_t>(status.st_size);
  }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    return read_fully(fd_.get(), name_, offset, out);
  }
  Result<void> write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) override {
    return write_fully(fd_.get(), name_, offset, bytes);
  }
  Result<void> sync() override {
    // Once only: after a failure the kernel may call the lost pages clean, so a second call that
    // succeeds proves nothing.
    if (::fdatasync(fd_.get()) != 0) return system_failure(name_, "sync");
    return {};
  }
  Result<void> truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
      return system_failure(name_, "truncate");
    }
    return {};
  }
  void drop_cache() override { ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED); }

 private:
  Descriptor fd_;
  std::string name_;
};

class PosixLogStorage final : public LogStorage {
 public:
  PosixLogStorage(Descriptor folder, bool writable)
      : folder_(std::move(folder)), writable_(writable) {}

  Result<void> lock() override {
    if (lock_) return {};
    if (!writable_) return system_failure(lock_file, "lock", EROFS);
    Descriptor fd(::openat(
        folder_.get(),
        std::string(lock_file).c_str(),
        O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
        0600
    ));
    if (!fd) return system_failure(lock_file, "open");
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return fail(ErrorKind::conflict, {"audit.log-locked", {}});
      return system_failure(lock_file, "lock");
    }
    lock_ = std::move(fd);
    return {};
  }

  Result<std::vector<std::string>> list() override {
    const int fd = ::openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return system_failure(".", "list");
    DIR* const entries = ::fdopendir(fd);
    if (entries == nullptr) {
      const int error = errno;
      ::close(fd);
      return system_failure(".", "list", error);
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* const entry = ::readdir(entries)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
      errno = 0;
    }
    const int error = errno;
    ::closedir(entries);
    if (error != 0) return system_failure(".", "list", error);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<std::unique_ptr<LogFile>> open(std::string_view name, bool writable) override {
    if (writable && !writable_) return system_failure(name, "open", EROFS);
    const std::string path(name);
    const int mode = writable ? O_RDWR : O_RDONLY;
    Descriptor fd(::openat(folder_.get(), path.c_str(), mode | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return system_failure(name, "open");
    return std::make_unique<PosixLogFile>(std::move(fd), path);
  }

  Result<std::unique_ptr<LogFile>> create(std::string_view name) override {
    if (!writable_) return system_failure(name, "create", EROFS);
    const std::string path(name);
    Descriptor fd(::openat(
        folder_.get(), path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600
    ));
    if (!fd) return system_failure(name, "create");
    if (auto synced = sync_names(); !synced) return fail(std::move(synced));
    return std::make_unique<PosixLogFile>(std::move(fd), path);
  }

  Result<void> sync_names() override {
    if (::fsync(folder_.get()) != 0) return system_failure(".", "sync");
    return {};
  }

  Result<std::optional<std::string>> read_small(std::string_view name) override {
    Descriptor fd(
        ::openat(folder_.get(), std::string(name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    );
    if (!fd) {
      if (errno == ENOENT) return std::optional<std::string>();
      return system_failure(name, "open");
    }
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return system_failure(name, "stat");
    if (status.st_size < 0 || static_cast<std::uint64_t>(status.st_size) > small_file_bytes) {
      return system_failure(name, "read", EFBIG);
    }
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    auto got =
        read_fully(fd.get(), name, 0, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    if (!got) return fail(std::move(got));
    text.resize(*got);
    return std::optional<std::string>(std::move(text));
  }

  Result<void> replace_small(std::string_view name, std::string_view text) override {
    if (!writable_) return system_failure(name, "create", EROFS);
    const std::string path(name);
    const std::string temporary = path + std::string(unnamed_suffix);
    Descriptor fd(::openat(
        folder_.get(),
        temporary.c_str(),
        O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
        0600
    ));
    if (!fd) return system_failure(name, "create");
    if (auto written = write_fully(fd.get(), name, 0, as_bytes(text)); !written) return written;
    if (::fsync(fd.get()) != 0) return system_failure(name, "sync");
    if (::renameat(folder_.get(), temporary.c_str(), folder_.get(), path.c_str()) != 0) {
      return system_failure(name, "rename");
    }
    return sync_names();
  }

  Result<void> remove(std::string_view name) override {
    if (!writable_) return system_failure(name, "remove", EROFS);
    if (::unlinkat(folder_.get(), std::string(name).c_str(), 0) != 0) {
      return system_failure(name, "remove");
    }
    return sync_names();
  }

  Result<std::uint64_t> free_bytes() override {
    struct statvfs status {};
    if (::fstatvfs(folder_.get(), &status) != 0) return system_failure(".", "stat");
    return std::uint64_t{status.f_bavail} * status.f_frsize;
  }

 private:
  Descriptor folder_;
  Descriptor lock_;
  bool writable_;
};

}  // namespace

Result<std::unique_ptr<LogStorage>> open_log_folder(
    const std::filesystem::path& folder, FolderAccess access
) {
  Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return fail(ErrorKind::not_found, {"audit.folder-missing", {{"folder", folder.string()}}});
    }
    return system_failure(folder.string(), "open");
  }
  return std::make_unique<PosixLogStorage>(std::move(fd), access == FolderAccess::writable);
}

}  // namespace tally::audit
