// A bundle: everything that shows one agreement in one file (docs/audit-log-format.md, section 17).
// Here is the container: files with names, and the manifest that says what each must hash to.
//
// Pure; values, safe from any thread. No name of a file is ever used as a path.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "tally/core/result.hpp"

namespace tally::evidence {

inline constexpr std::string_view manifest_file = "manifest.json";

struct Bundle {
  std::string agreement;
  std::string origin;      // of the log that it is from
  std::uint64_t size = 0;  // of the log under the checkpoint of all its proofs
  std::map<std::string, std::string, std::less<>> files;  // all but the manifest

  // Nothing when there is no such file.
  [[nodiscard]] const std::string* find(std::string_view name) const;
  // The one file. Precondition: names that audit::is_ustar_name takes.
  [[nodiscard]] std::string print() const;
};

// Checks the manifest against the files, and nothing else. Printing the bundle again gives the same
// bytes. Errors: invalid: audit.ustar-*, evidence.manifest-malformed, evidence.file-changed {file},
// evidence.file-unlisted {file}; not_found evidence.file-missing {file}: the manifest names a file
// that is not there, or there is no manifest.
Result<Bundle> parse_bundle(std::string_view archive);

}  // namespace tally::evidence
