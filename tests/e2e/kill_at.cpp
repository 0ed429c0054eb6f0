// Preloaded into a program: kills it at the TALLY_KILL_AT-th call that makes something durable or
// changes a name, before that call does anything. 0 or unset: only counts, and writes the number
// into the file TALLY_KILL_COUNT at the end.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

unsigned calls = 0;

void step() {
  static const char* const at = std::getenv("TALLY_KILL_AT");
  ++calls;
  if (at != nullptr && std::strtoul(at, nullptr, 10) == calls) kill(getpid(), SIGKILL);
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
      std::fprintf(out, "%u", calls);
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
