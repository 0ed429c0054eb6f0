// The wrapping key in a file: one line "tally-custody-key/1 <base64 of 32 bytes>".
#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tally/core/digest.hpp"
#include "tally/custody/key_source.hpp"

namespace tally::custody {

namespace {

constexpr std::string_view prefix = "tally-custody-key/1 ";

class HeldKey final : public KeySource {
 public:
  explicit HeldKey(const SecretKey& key) : key_(key) {}
  Result<SecretKey> wrapping_key() override { return key_; }

 private:
  const SecretKey key_;
};

tl::unexpected<Error> refuse(std::string code, const std::filesystem::path& file) {
  return fail(ErrorKind::invalid, {std::move(code), {{"file", file.string()}}});
}

tl::unexpected<Error> failed(
    const std::filesystem::path& file, std::string_view action, int error
) {
  return fail(
      ErrorKind::unavailable,
      {"custody.file-failed",
       {{"file", file.string()},
        {"action", std::string(action)},
        {"reason", std::generic_category().message(error)}}}
  );
}

// Both with their links resolved: a link into the data folder lies in it.
bool lies_in(const std::filesystem::path& file, const std::filesystem::path& folder) {
  std::error_code ignored;
  const auto inner = std::filesystem::weakly_canonical(file, ignored);
  const auto outer = std::filesystem::weakly_canonical(folder, ignored);
  const auto [in, out] = std::mismatch(inner.begin(), inner.end(), outer.begin(), outer.end());
  return out == outer.end() || (std::next(out) == outer.end() && out->empty());
}

}  // namespace

SecretKey::~SecretKey() {
  wipe();
}
void SecretKey::wipe() {
  OPENSSL_cleanse(bytes.data(), bytes.size());
}

Result<std::unique_ptr<KeySource>> open_key_file(
    const std::filesystem::path& file, const std::filesystem::path& data_folder
) {
  if (lies_in(file, data_folder)) return refuse("custody.key-inside-data", file);
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return refuse("custody.key-missing", file);
  if (fd < 0) return failed(file, "open", errno);
  struct stat found {};
  std::array<char, 128> text{};
  const bool looked = ::fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
  const ssize_t n = looked ? ::read(fd, text.data(), text.size()) : -1;
  ::close(fd);
  if (n < 0) return refuse("custody.key-malformed", file);
  SecretKey key;
  std::string_view line(text.data(), static_cast<std::size_t>(n));
  const bool whole = line.starts_with(prefix) && line.ends_with('\n');
  auto bytes = whole ? from_base64(line.substr(prefix.size(), line.size() - prefix.size() - 1))
                     : std::nullopt;
  OPENSSL_cleanse(text.data(), text.size());
  if (!bytes || bytes->size() != key.bytes.size()) return refuse("custody.key-malformed", file);
  std::copy(bytes->begin(), bytes->end(), key.bytes.begin());
  OPENSSL_cleanse(bytes->data(), bytes->size());
  if ((found.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return refuse("custody.key-readable-by-others", file);
  }
  return std::unique_ptr<KeySource>(new HeldKey(key));
}

Result<void> create_key_file(const std::filesystem::path& file, Random& random) {
  SecretKey key;
  random.fill(key.bytes);
  std::string line(prefix);
  line += to_base64(key.bytes);
  line += '\n';
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) {
    return fail(ErrorKind::conflict, {"custody.key-exists", {{"file", file.string()}}});
  }
  if (fd < 0) return failed(file, "create", errno);
  const bool written = ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const bool synced = written && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  OPENSSL_cleanse(line.data(), line.size());
  if (!synced) return failed(file, "write", error);
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const int parent = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent >= 0) {
    ::fsync(parent);
    ::close(parent);
  }
  return {};
}

}  // namespace tally::custody
