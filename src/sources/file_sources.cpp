#include "tally/sources/file_sources.hpp"

#include <cerrno>
#include <cstring>
#include <list>
#include <mutex>
#include <system_error>
#include <unordered_map>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tally/core/descriptor.hpp"
#include "tally/core/digest.hpp"
#include "tally/dataplane/stream.hpp"

#include "beneath.hpp"

namespace tally::sources {

namespace {

using dataplane::SmallContent;
using dataplane::SourceIdentity;

Nanos nanos_of(const timespec& at) {
  return at.tv_sec * nanos_per_second + at.tv_nsec;
}

Nanos clock_nanos(clockid_t which) {
  timespec at{};
  ::clock_gettime(which, &at);
  return nanos_of(at);
}

// What tells one version of a file from another without reading it.
struct Stamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  Nanos modified = 0;
  Nanos changed = 0;
  bool operator==(const Stamp&) const = default;
};

Stamp stamp_of(const struct stat& found) {
  return {
      found.st_dev,
      found.st_ino,
      static_cast<std::uint64_t>(found.st_size),
      nanos_of(found.st_mtim),
      nanos_of(found.st_ctim)};
}

tl::unexpected<Error> file_error(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return fail(ErrorKind::not_found, {"sources.missing", {{"path", path}}});
    case EXDEV:
    case ELOOP:
      return fail(ErrorKind::forbidden, {"sources.outside-root", {{"path", path}}});
    default: {
      const std::string reason = std::generic_category().message(error);
      return fail(
          ErrorKind::unavailable, {"sources.unreadable", {{"path", path}, {"reason", reason}}}
      );
    }
  }
}

tl::unexpected<Error> changed(const std::string& path) {
  return fail(ErrorKind::unavailable, {"sources.changed", {{"path", path}}});
}

struct OpenFile {
  Descriptor descriptor;
  Stamp stamp;
};

Result<OpenFile> open_file(int root, const std::string& path) {
  const int fd = open_beneath(root, path);
  if (fd < 0) return file_error(path, -fd);
  OpenFile file{Descriptor(fd), {}};
  struct stat found {};
  if (::fstat(fd, &found) != 0) return file_error(path, errno);
  if (!S_ISREG(found.st_mode)) {
    return fail(ErrorKind::forbidden, {"sources.not-a-file", {{"path", path}}});
  }
  file.stamp = stamp_of(found);
  return file;
}

// The file is still the version it was when `stamp` was taken.
bool is_unchanged(int fd, const Stamp& stamp) {
  struct stat found {};
  return ::fstat(fd, &found) == 0 && stamp_of(found) == stamp && found.st_nlink > 0;
}

Result<std::size_t> read_at(
    int fd, const std::string& path, std::uint64_t offset, std::span<std::uint8_t> out
) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n =
        ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error(path, errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

SourceIdentity large_identity(const Stamp& stamp) {
  return {
      "file:" + std::to_string(stamp.size) + ":" + std::to_string(stamp.modified) + ":" +
          std::to_string(stamp.changed) + ":" + std::to_string(stamp.inode),
      stamp.size};
}

struct Looked {
  Stamp stamp;
  std::shared_ptr<const SmallContent> content;  // null: a large file
  bool settled = true;  // false: changed so lately that a further change may leave the same stamp
};

// The kernel stamps files with the time of its last tick.
constexpr Nanos tick = milliseconds(50);

Result<Looked> look(int root, const std::string& path, std::size_t small_file) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    auto file = open_file(root, path);
    if (!file) return fail(std::move(file));
    Looked looked;
    looked.stamp = file->stamp;
    if (file->stamp.size > small_file) return looked;
    auto content = std::make_shared<SmallContent>();
    content->bytes.resize(static_cast<std::size_t>(file->stamp.size));
    const Nanos now = clock_nanos(CLOCK_REALTIME);
    std::span<std::uint8_t> out(
        reinterpret_cast<std::uint8_t*>(content->bytes.data()), content->bytes.size()
    );
    const auto read = read_at(file->descriptor.get(), path, 0, out);
    if (!read) return tl::unexpected(read.error());
    if (*read != out.size() || !is_unchanged(file->descriptor.get(), file->stamp)) continue;
    content->content = digest_text(sha256(content->bytes));
    content->identity = {
        content->content + ":" + std::to_string(file->stamp.size), file->stamp.size};
    content->etag = dataplane::etag_of(content->identity);
    looked.content = std::move(content);
    looked.settled = now - file->stamp.changed > tick;
    return looked;
  }
  return changed(path);
}

}  // namespace

struct FileSources::State {
  State(Options options_, Worker& worker_) : options(std::move(options_)), worker(worker_) {}

  const Options options;
  Worker& worker;
  Descriptor root;

  struct Entry {
    std::string path;
    Looked looked;
    Nanos checked = 0;  // CLOCK_MONOTONIC_COARSE
  };
  std::mutex mutex;
  std::list<Entry> entries;  // mutex; last used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_path;  // mutex
  std::size_t cached = 0;                                                    // mutex; bytes

  // The content if it was looked at a moment ago.
  std::shared_ptr<const SmallContent> fresh(const std::string& path) {
    const Nanos now = clock_nanos(CLOCK_MONOTONIC_COARSE);
    const std::lock_guard guard(mutex);
    const auto found = by_path.find(path);
    if (found == by_path.end()) return nullptr;
    const auto entry = found->second;
    if (now - entry->checked > options.recheck) return nullptr;
    entries.splice(entries.begin(), entries, entry);
    return entry->looked.content;
  }

  // Blocking: what is there now. A settled entry with the same stamp spares the reading.
  Result<Looked> look_again(const std::string& path) {
    Looked known;
    {
      const std::lock_guard guard(mutex);
      const auto found = by_path.find(path);
      if (found != by_path.end()) known = found->second->looked;
    }
    if (known.content && known.settled) {
      auto file = open_file(root.get(), path);
      if (file && file->stamp == known.stamp) {
        remember(path, known);
        return known;
      }
    }
    auto looked = look(root.get(), path, options.small_file);
    if (looked && looked->content) {
      remember(path, *looked);
    } else {
      forget(path);
    }
    return looked;
  }

  void remember(const std::string& path, const Looked& looked) {
    const std::lock_guard guard(mutex);
    if (const auto old = by_path.find(path); old != by_path.end()) drop(old->second);
    cached += looked.content->bytes.size();
    entries.push_front({path, looked, clock_nanos(CLOCK_MONOTONIC_COARSE)});
    by_path.emplace(entries.front().path, entries.begin());
    while (cached > options.cache_bytes && entries.size() > 1) drop(std::prev(entries.end()));
  }

  void forget(const std::string& path) {
    const std::lock_guard guard(mutex);
    const auto found = by_path.find(path);
    if (found != by_path.end()) drop(found->second);
  }

  // With the mutex held.
  void drop(std::list<Entry>::iterator entry) {
    cached -= entry->looked.content->bytes.size();
    by_path.erase(entry->path);
    entries.erase(entry);
  }
};

namespace {

class SmallReader final : public BodyReader {
 public:
  SmallReader(std::shared_ptr<const SmallContent> content, std::uint64_t from, std::uint64_t length)
      : content_(std::move(content)),
        rest_(std::string_view(content_->bytes)
                  .substr(static_cast<std::size_t>(from), static_cast<std::size_t>(length))) {}

  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    const std::size_t n = std::min(out.size(), rest_.size());
    std::memcpy(out.data(), rest_.data(), n);
    rest_.remove_prefix(n);
    co_return n;
  }

 private:
  std::shared_ptr<const SmallContent> content_;
  std::string_view rest_;
};

class LargeReader final : public BodyReader {
 public:
  LargeReader(
      std::shared_ptr<FileSources::State> state,
      std::string path,
      OpenFile file,
      std::uint64_t offset,
      std::uint64_t length
  )
      : state_(std::move(state)),
        path_(std::move(path)),
        file_(std::move(file)),
        offset_(offset),
        left_(length) {}

  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    if (left_ < out.size()) out = out.first(static_cast<std::size_t>(left_));
    if (out.empty()) co_return std::size_t{0};
    Result<std::size_t> result = std::size_t{0};
    auto job = [this, out, &result] { result = read_piece(out); };
    co_await state_->worker.run(std::move(job));
    if (!result) co_return result;
    offset_ += *result;
    left_ -= *result;
    co_return result;
  }

 private:
  // Looks at the file after it has read: bytes of a version that is gone are not handed out.
  Result<std::size_t> read_piece(std::span<std::uint8_t> out) {
    auto read = read_at(file_.descriptor.get(), path_, offset_, out);
    if (!read) return read;
    if (*read == 0 || !is_unchanged(file_.descriptor.get(), file_.stamp)) return changed(path_);
    return read;
  }

  std::shared_ptr<FileSources::State> state_;
  const std::string path_;
  OpenFile file_;
  std::uint64_t offset_;
  std::uint64_t left_;
};

class FileSource final : public dataplane::Source {
 public:
  FileSource(std::shared_ptr<FileSources::State> state, std::string path)
      : state_(std::move(state)), path_(std::move(path)) {}

  awaitable<Result<SourceIdentity>> identify() override {
    if (auto content = state_->fresh(path_)) {
      looked_ = {{}, std::move(content), true};
      co_return looked_.content->identity;
    }
    Result<Looked> result;
    auto job = [this, &result] { result = state_->look_again(path_); };
    co_await state_->worker.run(std::move(job));
    if (!result) co_return fail(std::move(result));
    looked_ = std::move(*result);
    co_return identity();
  }

  awaitable<Result<std::unique_ptr<BodyReader>>> open(
      std::uint64_t offset, std::optional<std::uint64_t> length
  ) override {
    const std::uint64_t whole = identity().length;
    if (offset > whole || (length && *length > whole - offset)) co_return changed(path_);
    const std::uint64_t wanted = length.value_or(whole - offset);
    if (looked_.content) {
      std::unique_ptr<BodyReader> reader =
          std::make_unique<SmallReader>(looked_.content, offset, wanted);
      co_return reader;
    }
    Result<OpenFile> file;
    auto job = [this, &file] { file = open_file(state_->root.get(), path_); };
    co_await state_->worker.run(std::move(job));
    if (!file) co_return fail(std::move(file));
    if (file->stamp != looked_.stamp) co_return changed(path_);
    std::unique_ptr<BodyReader> reader =
        std::make_unique<LargeReader>(state_, path_, std::move(*file), offset, wanted);
    co_return reader;
  }

  std::shared_ptr<const SmallContent> small() override { return state_->fresh(path_); }

 private:
  [[nodiscard]] SourceIdentity identity() const {
    return looked_.content ? looked_.content->identity : large_identity(looked_.stamp);
  }

  std::shared_ptr<FileSources::State> state_;
  const std::string path_;
  Looked looked_;  // the version that `identify` named last
};

}  // namespace

FileSources::FileSources(std::shared_ptr<State> state) : state_(std::move(state)) {}
FileSources::~FileSources() = default;

Result<std::unique_ptr<FileSources>> FileSources::open(Options options, Worker& worker) {
  const std::string root = options.root.string();
  auto state = std::make_shared<State>(std::move(options), worker);
  state->root = Descriptor(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (state->root.get() < 0) {
    return fail(ErrorKind::invalid, {"sources.root-missing", {{"folder", root}}});
  }
  return std::unique_ptr<FileSources>(new FileSources(std::move(state)));
}

Result<std::unique_ptr<dataplane::Source>> FileSources::source(const Json& spec) {
  const auto type = string_member(spec, "type", "");
  if (!type) return tl::unexpected(type.error());
  if (*type != "file") {
    return fail(ErrorKind::invalid, {"sources.unknown-type", {{"type", *type}}}, "/type");
  }
  for (const auto& [key, value] : spec.items()) {
    if (key == "type" || key == "path") continue;
    return fail(ErrorKind::invalid, {"sources.unknown-member", {{"member", key}}}, child("", key));
  }
  auto path = string_member(spec, "path", "");
  if (!path) return tl::unexpected(path.error());
  if (!is_plain_relative(*path)) {
    return fail(ErrorKind::invalid, {"sources.bad-path", {{"path", *path}}}, "/path");
  }
  return std::unique_ptr<dataplane::Source>(new FileSource(state_, std::move(*path)));
}

}  // namespace tally::sources
