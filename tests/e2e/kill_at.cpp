// Preloaded into a program: kills it at the TALLY_KILL_AT-th call that makes something durable or
// changes a name, before that call does anything. 0 or unset: only counts, and writes the number
// into the file TALLY_KILL_COUNT at the end. TALLY_KILL_AT_FILE in its place: from the moment when
// that file is there on, its number of calls, for a program that does much before what is meant.
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

std::atomic<unsigned> calls = 0;

void step() {
  static const char* const at = std::getenv("TALLY_KILL_AT");
  static const char* const later = std::getenv("TALLY_KILL_AT_FILE");
  if (later != nullptr) {
    static std::atomic<long> left = 0;  // 0: not there yet
    if (left == 0) {
      char text[16] = {};
      const int file = open(later, O_RDONLY | O_CLOEXEC);
      if (file < 0) return;
      const bool said = read(file, text, sizeof text - 1) > 0;
      close(file);
      if (!said) return;
      left = std::strtol(text, nullptr, 10);
    }
    if (--left == 0) kill(getpid(), SIGKILL);
    return;
  }
  const unsigned call = ++calls;
  if (at != nullptr && std::strtoul(at, nullptr, 10) == call) kill(getpid(), SIGKILL);
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

struct Report {
  ~Report() {
    const char* const file = std::getenv("TALLY_KILL_COUNT");
    if (file == nullptr) return;
    if (FILE* const out = std::fopen(file, "w")) {
      std::fprintf(out, "%u", calls.load());
      std::fclose(out);
    }
  }
} report;

}  // namespace

extern "C" {

int fsync(int fd) {
  step();
  return next<int (*)(int)>("fsync")(fd);
}
int fdatasync(int fd) {
  step();
  return next<int (*)(int)>("fdatasync")(fd);
}
int rename(const char* from, const char* to) noexcept {
  step();
  return next<int (*)(const char*, const char*)>("rename")(from, to);
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  step();
  return next<int (*)(int, const char*, int, const char*)>("renameat")(
      from_folder, from, to_folder, to
  );
}
int renameat2(
    int from_folder, const char* from, int to_folder, const char* to, unsigned flags
) noexcept {
  step();
  return next<int (*)(int, const char*, int, const char*, unsigned)>("renameat2")(
      from_folder, from, to_folder, to, flags
  );
}
int unlink(const char* name) noexcept {
  step();
  return next<int (*)(const char*)>("unlink")(name);
}
int unlinkat(int folder, const char* name, int flags) noexcept {
  step();
  return next<int (*)(int, const char*, int)>("unlinkat")(folder, name, flags);
}
int mkdir(const char* name, mode_t mode) noexcept {
  step();
  return next<int (*)(const char*, mode_t)>("mkdir")(name, mode);
}

}  // extern "C"
