#include "beneath.hpp"

#include <cerrno>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tally::sources {

namespace {

constexpr int read_flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

int open_step_by_step(int folder, const std::string& path) {
  int at = ::dup(folder);
  if (at < 0) return -errno;
  std::size_t begin = 0;
  while (true) {
    const auto slash = path.find('/', begin);
    const bool last = slash == std::string::npos;
    const std::string name = path.substr(begin, last ? slash : slash - begin);
    const int flags =
        last ? read_flags | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const int next = ::openat(at, name.c_str(), flags);
    const int error = errno;
    ::close(at);
    if (next < 0) return -error;
    if (last) return next;
    at = next;
    begin = slash + 1;
  }
}

}  // namespace

int open_beneath(int folder, const std::string& path, bool with_openat2) {
  if (!is_plain_relative(path)) return -EXDEV;
  if (with_openat2) {
    open_how how{};
    how.flags = read_flags;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    // EAGAIN: something was renamed meanwhile, and the kernel could not be sure.
    for (int attempt = 0; attempt < 8; ++attempt) {
      const long fd = ::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how);
      if (fd >= 0) return static_cast<int>(fd);
      if (errno == ENOSYS || errno == EPERM || errno == E2BIG) break;
      if (errno != EAGAIN) return -errno;
    }
  }
  return open_step_by_step(folder, path);
}

bool is_plain_relative(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) return false;
  std::size_t begin = 0;
  while (true) {
    const auto slash = path.find('/', begin);
    const std::string name = path.substr(begin, slash == std::string::npos ? slash : slash - begin);
    if (name.empty() || name == "." || name == "..") return false;
    if (slash == std::string::npos) return true;
    begin = slash + 1;
  }
}

}  // namespace tally::sources
