// One file of many (POSIX ustar), as evidence travels: any `tar` unpacks it. There is exactly one
// way to write the same files (names in ascending order, no owner, no time, mode 0644), and only
// that is read: nothing can be hidden in what a header does not need.
//
// Pure; any thread. No name is ever used as a path here.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/result.hpp"

namespace tally::audit {

constexpr std::size_t most_ustar_bytes = 512 << 20;
constexpr std::size_t most_ustar_files = 400'000;

struct UstarFile {
  std::string_view name;  // of A-Z a-z 0-9 . _ - in parts between '/'; at most 100 bytes
  std::string_view bytes;
  bool operator==(const UstarFile&) const = default;
};

// Whether the name is one that a file in an archive may have.
bool is_ustar_name(std::string_view name);

// Precondition: names as above, in ascending order, none twice.
std::string write_ustar(std::span<const UstarFile> files);

// The files, as views into `archive`. Writing them again gives the same bytes. Errors: invalid
// audit.ustar-malformed {offset}, audit.ustar-too-large {bytes, files}.
Result<std::vector<UstarFile>> parse_ustar(std::string_view archive);

}  // namespace tally::audit
