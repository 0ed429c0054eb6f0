#include "tally/custody/posix_blob_store.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tally/core/descriptor.hpp"

namespace tally::custody {

namespace {

tl::unexpected<Error> file_failed(std::string_view file, std::string_view action, int error) {
  if (error == ENOENT) {
    return fail(ErrorKind::not_found, {"custody.file-missing", {{"file", std::string(file)}}});
  }
  if (error == ENOSPC || error == EDQUOT) {
    return fail(ErrorKind::unavailable, {"custody.disk-full", {{"file", std::string(file)}}});
  }
  return fail(
      ErrorKind::unavailable,
      {"custody.file-failed",
       {{"file", std::string(file)},
        {"action", std::string(action)},
        {"reason", std::generic_category().message(error)}}}
  );
}

tl::unexpected<Error> foreign(std::string_view file, std::string_view why) {
  return fail(
      ErrorKind::invalid,
      {"custody.file-foreign", {{"file", std::string(file)}, {"why", std::string(why)}}}
  );
}

// Why a file in the custody is none that this program made; empty: it may be one.
std::string_view what_is_foreign(const struct stat& found) {
  if (S_ISLNK(found.st_mode)) return "symbolic-link";
  if (!S_ISREG(found.st_mode)) return "not-a-file";
  if (found.st_uid != ::geteuid()) return "owner";
  if ((found.st_mode & (S_IRWXG | S_IRWXO)) != 0) return "mode";
  if (found.st_nlink > 1) return "hard-link";
  return {};
}

class PosixFile final : public BlobFile {
 public:
  PosixFile(Descriptor descriptor, std::string name)
      : descriptor_(std::move(descriptor)), name_(std::move(name)) {}

  Result<std::uint64_t> size() override {
    struct stat found {};
    if (::fstat(descriptor_.get(), &found) != 0) return file_failed(name_, "stat", errno);
    return static_cast<std::uint64_t>(found.st_size);
  }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t n = ::pread(
          descriptor_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done)
      );
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return file_failed(name_, "read", errno);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Result<void> write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) override {
    while (!bytes.empty()) {
      const ssize_t n =
          ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return file_failed(name_, "write", errno);
      offset += static_cast<std::uint64_t>(n);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }

  Result<void> sync() override {
    if (::fsync(descriptor_.get()) != 0) return file_failed(name_, "sync", errno);
    return {};
  }

 private:
  Descriptor descriptor_;
  const std::string name_;
};

class PosixBlobStore final : public BlobStore {
 public:
  explicit PosixBlobStore(Descriptor root) : root_(std::move(root)) {}

  Result<std::vector<std::string>> list(std::string_view folder) override {
    const std::string name(folder);
    const int fd = ::openat(root_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return file_failed(name, "list", errno);
    DIR* directory = ::fdopendir(fd);
    if (directory == nullptr) {
      ::close(fd);
      return file_failed(name, "list", errno);
    }
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(directory)) {
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    ::closedir(directory);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<bool> exists(std::string_view name) override {
    struct stat found {};
    if (::fstatat(root_.get(), std::string(name).c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0) {
      return true;
    }
    if (errno == ENOENT) return false;
    return file_failed(name, "stat", errno);
  }

  Result<std::unique_ptr<BlobFile>> open(std::string_view name) override {
    return open_with(name, O_RDONLY, "open");
  }

  Result<std::unique_ptr<BlobFile>> create(std::string_view name) override {
    auto made = open_with(name, O_RDWR | O_CREAT | O_EXCL, "create");
    if (!made) return made;
    if (auto synced = sync_folder(name); !synced) return fail(std::move(synced));
    return made;
  }

  Result<void> rename(std::string_view from, std::string_view to) override {
    const std::string source(from);
    const std::string target(to);
    if (::renameat2(root_.get(), source.c_str(), root_.get(), target.c_str(), RENAME_NOREPLACE) !=
        0) {
      return file_failed(source, "rename", errno);
    }
    return sync_folder(to);
  }

  Result<void> exchange(std::string_view one, std::string_view other) override {
    const std::string first(one);
    const std::string second(other);
    if (::renameat2(root_.get(), first.c_str(), root_.get(), second.c_str(), RENAME_EXCHANGE) !=
        0) {
      return file_failed(first, "exchange", errno);
    }
    return sync_folder(one);
  }

  Result<void> remove(std::string_view name) override {
    if (::unlinkat(root_.get(), std::string(name).c_str(), 0) != 0 && errno != ENOENT) {
      return file_failed(name, "remove", errno);
    }
    return sync_folder(name);
  }

  Result<void> shred(std::string_view name) override {
    const std::string path(name);
    const Descriptor fd(
        ::openat(root_.get(), path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    );
    if (!fd) {
      if (errno == ENOENT) return sync_folder(name);
      return not_opened(name, "open");
    }
    PosixFile file(Descriptor(::dup(fd.get())), path);
    const auto size = file.size();
    if (!size) return tl::unexpected(size.error());
    for (const std::uint8_t pattern : {std::uint8_t{0xff}, std::uint8_t{0x00}}) {
      const std::vector<std::uint8_t> bytes(static_cast<std::size_t>(*size), pattern);
      if (auto written = file.write_at(0, bytes); !written) return written;
      if (auto synced = file.sync(); !synced) return synced;
    }
    return remove(name);
  }

 private:
  Result<std::unique_ptr<BlobFile>> open_with(
      std::string_view name, int flags, std::string_view action
  ) {
    const std::string path(name);
    Descriptor fd(
        ::openat(root_.get(), path.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600)
    );
    if (!fd) return not_opened(name, action);
    struct stat found {};
    if (::fstat(fd.get(), &found) != 0) return file_failed(name, "stat", errno);
    if (const auto why = what_is_foreign(found); !why.empty()) return foreign(name, why);
    return std::unique_ptr<BlobFile>(new PosixFile(std::move(fd), path));
  }

  // A link is called by its name, and not by what following it would say.
  [[nodiscard]] tl::unexpected<Error> not_opened(std::string_view name, std::string_view action) {
    const int error = errno;
    struct stat found {};
    const std::string path(name);
    if (::fstatat(root_.get(), path.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0) {
      if (const auto why = what_is_foreign(found); !why.empty() && error != EEXIST) {
        return foreign(name, why);
      }
    }
    return file_failed(name, action, error);
  }

  // The folder that holds `name`: without this a name may come back, or be gone, after a power cut.
  Result<void> sync_folder(std::string_view name) {
    const std::string folder(name.substr(0, name.find('/')));
    const Descriptor fd(::openat(root_.get(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return file_failed(folder, "sync", errno);
    return {};
  }

  Descriptor root_;
};

}  // namespace

Result<std::unique_ptr<BlobStore>> open_posix_blob_store(const std::filesystem::path& folder) {
  const std::string name = folder.string();
  Descriptor root(::open(name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail(ErrorKind::invalid, {"custody.folder-missing", {{"folder", name}}});
  for (const char* below : {"keys", "blobs"}) {
    const std::string path = name + "/" + below;
    if (::mkdirat(root.get(), below, 0700) != 0 && errno != EEXIST) {
      return file_failed(path, "create", errno);
    }
    struct stat found {};
    if (::fstatat(root.get(), below, &found, AT_SYMLINK_NOFOLLOW) != 0) {
      return file_failed(path, "stat", errno);
    }
    if (S_ISLNK(found.st_mode)) return foreign(path, "symbolic-link");
    if (!S_ISDIR(found.st_mode)) return foreign(path, "not-a-folder");
    if ((found.st_mode & (S_IRWXG | S_IRWXO)) != 0) return foreign(path, "mode");
  }
  const Descriptor whole(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!whole || ::fsync(whole.get()) != 0) return file_failed(name, "sync", errno);
  return std::unique_ptr<BlobStore>(new PosixBlobStore(std::move(root)));
}

}  // namespace tally::custody
