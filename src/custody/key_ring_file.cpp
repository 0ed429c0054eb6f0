// The key ring in a file of this machine. While it is replaced, FILE.new lies beside it: the next
// ring until the two change their names in one step, the ring before from then on. Nobody uses
// either, so a crash leaves nothing to decide: what lies there is overwritten and removed.
#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tally/core/aead.hpp"
#include "tally/core/descriptor.hpp"
#include "tally/custody/key_ring.hpp"

namespace tally::custody {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_bytes = 4096;

tl::unexpected<Error> refuse(std::string code, const fs::path& file) {
  return fail(ErrorKind::invalid, {std::move(code), {{"file", file.string()}}});
}

tl::unexpected<Error> failed(const fs::path& file, std::string_view action, int error) {
  return fail(
      ErrorKind::unavailable,
      {"custody.file-failed",
       {{"file", file.string()},
        {"action", std::string(action)},
        {"reason", std::generic_category().message(error)}}}
  );
}

// Both with their links resolved: a link into the data folder lies in it.
bool lies_in(const fs::path& file, const fs::path& folder) {
  std::error_code ignored;
  const auto inner = fs::weakly_canonical(file, ignored);
  const auto outer = fs::weakly_canonical(folder, ignored);
  const auto [in, out] = std::mismatch(inner.begin(), inner.end(), outer.begin(), outer.end());
  return out == outer.end() || (std::next(out) == outer.end() && out->empty());
}

Result<void> sync_folder(const fs::path& file) {
  const auto folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened || ::fsync(opened.get()) != 0) return failed(folder, "sync", errno);
  return {};
}

Result<void> write_whole(int to, std::string_view text, const fs::path& file) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n =
        ::pwrite(to, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return failed(file, "write", errno);
    done += static_cast<std::size_t>(n);
  }
  if (::fsync(to) != 0) return failed(file, "sync", errno);
  return {};
}

Result<void> create(const fs::path& file, std::string_view text) {
  const Descriptor made(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!made && errno == EEXIST) {
    return fail(ErrorKind::conflict, {"custody.key-exists", {{"file", file.string()}}});
  }
  if (!made) return failed(file, "create", errno);
  if (auto written = write_whole(made.get(), text, file); !written) return written;
  return sync_folder(file);
}

// What a disk does with a place that is written again is its own business; a file system that
// copies on writing keeps the old one for a while.
Result<void> shred(const fs::path& file) {
  {
    const Descriptor opened(::open(file.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!opened) return errno == ENOENT ? Result<void>{} : failed(file, "open", errno);
    struct stat found {};
    if (::fstat(opened.get(), &found) != 0) return failed(file, "open", errno);
    for (const char pattern : {'\xff', '\0'}) {
      const std::string bytes(static_cast<std::size_t>(found.st_size), pattern);
      if (auto written = write_whole(opened.get(), bytes, file); !written) return written;
    }
  }
  if (::unlink(file.c_str()) != 0) return failed(file, "remove", errno);
  return sync_folder(file);
}

class RingFile final : public RingStorage {
 public:
  // `file` with its links resolved: what changes names must be the file itself.
  explicit RingFile(fs::path file) : file_(std::move(file)), beside_(file_.string() + ".new") {}

  [[nodiscard]] std::string place() const override { return file_.string(); }

  Result<std::string> read() override {
    const Descriptor opened(::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!opened && errno == ENOENT) return refuse("custody.key-missing", file_);
    if (!opened) return failed(file_, "open", errno);
    struct stat found {};
    if (::fstat(opened.get(), &found) != 0 || !S_ISREG(found.st_mode)) {
      return refuse("custody.key-malformed", file_);
    }
    std::string text(most_bytes + 1, '\0');
    const ssize_t n = ::read(opened.get(), text.data(), text.size());
    if (n < 0) return failed(file_, "read", errno);
    if (static_cast<std::size_t>(n) > most_bytes) return refuse("custody.key-malformed", file_);
    text.resize(static_cast<std::size_t>(n));
    if ((found.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
      wipe(text);
      return refuse("custody.key-readable-by-others", file_);
    }
    return text;
  }

  Result<void> replace(std::string_view text) override {
    if (auto settled = settle(); !settled) return settled;
    if (auto made = create(beside_, text); !made) return made;
    if (::renameat2(AT_FDCWD, beside_.c_str(), AT_FDCWD, file_.c_str(), RENAME_EXCHANGE) != 0) {
      return failed(file_, "exchange", errno);
    }
    if (auto synced = sync_folder(file_); !synced) return synced;
    return settle();
  }

  Result<void> settle() override { return shred(beside_); }

 private:
  const fs::path file_;
  const fs::path beside_;
};

}  // namespace

Result<std::unique_ptr<KeyRing>> open_key_ring(const fs::path& file, const fs::path& data_folder) {
  if (lies_in(file, data_folder)) return refuse("custody.key-inside-data", file);
  std::error_code absent;
  const auto there = fs::canonical(file, absent);
  if (absent == std::errc::no_such_file_or_directory) return refuse("custody.key-missing", file);
  if (absent) return failed(file, "open", absent.value());
  return KeyRing::open(std::make_unique<RingFile>(there));
}

Result<void> create_key_ring(const fs::path& file, Random& random, Instant now) {
  KeyRing::Entries entries(1);
  random.fill(entries.front().key.bytes);
  now.nanos = 0;
  entries.front().shown = {name_of(entries.front().key), now, true};
  std::string text = KeyRing::print(entries);
  auto made = create(file, text);
  wipe(text);
  return made;
}

}  // namespace tally::custody
