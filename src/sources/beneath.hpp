// Opening a file under a folder without ever leaving it.
#pragma once

#include <string>

namespace tally::sources {

// A descriptor for reading, or −errno. ELOOP and EXDEV: the path leads out of the folder. Never
// blocks on a pipe. `with_openat2` is off where the kernel has none; then no symbolic link is
// followed at all.
int open_beneath(int folder, const std::string& path, bool with_openat2 = true);

// Relative, no empty, "." or ".." segment, no NUL, no trailing slash.
bool is_plain_relative(const std::string& path);

}  // namespace tally::sources
