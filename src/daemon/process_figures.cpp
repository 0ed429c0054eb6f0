#include "process_figures.hpp"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

namespace tally::daemon {

namespace {

// The fields of /proc/self/stat from the third on: the second, in parentheses, may hold blanks.
std::vector<std::string> stat_fields() {
  std::ifstream file("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto end = text.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream rest(text.substr(end + 1));
  return {std::istream_iterator<std::string>(rest), {}};
}

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Seconds since 1970 of the boot, from which starts are counted. Not from /proc/stat, which the
// systemd unit hides.
double boot_time() {
  return seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME);
}

double ticks(const std::string& field) {
  return std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::uint64_t open_descriptors() {
  std::error_code failed;
  std::filesystem::directory_iterator all("/proc/self/fd", failed);
  if (failed) return 0;
  // One of them is that of the folder itself.
  return static_cast<std::uint64_t>(std::distance(begin(all), end(all))) - 1;
}

}  // namespace

ProcessFigures process_figures() {
  ProcessFigures out;
  // proc(5) numbers them from 1: utime 14, stime 15, starttime 22, vsize 23, rss 24.
  const auto fields = stat_fields();
  constexpr std::size_t first = 3;
  if (fields.size() > 24 - first) {
    out.cpu_seconds = ticks(fields[14 - first]) + ticks(fields[15 - first]);
    out.started = boot_time() + ticks(fields[22 - first]);
    out.virtual_bytes = std::stoull(fields[23 - first]);
    out.resident_bytes =
        std::stoull(fields[24 - first]) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
  out.descriptors = open_descriptors();
  rlimit most{};
  if (getrlimit(RLIMIT_NOFILE, &most) == 0) out.most_descriptors = most.rlim_cur;
  return out;
}

}  // namespace tally::daemon
