// `tally audit bundle` and `check-bundle`: all that shows one agreement, in one file.
#pragma once

#include <filesystem>
#include <string>

#include "tally/core/result.hpp"

#include "console.hpp"

namespace tally::cli {

struct BundleOptions {
  std::filesystem::path folder;  // a connector's
  std::string agreement;         // either this
  std::string pid;               // or a negotiation or transfer under it
  std::filesystem::path out;     // empty: "bundle.tar" in the working folder
};
// Writes the file. Exit: 0, 1 the log was changed or the agreement is not in it, 3 usage.
int audit_bundle(const Console& console, const BundleOptions& options);

struct CheckBundleOptions {
  std::filesystem::path file;
  std::filesystem::path anchors;
  std::string vkey;
  std::filesystem::path policy;
};
// Exit: 0 whole, 1 evidence of change, 2 something is not shown, 3 usage.
int audit_check_bundle(const Console& console, const CheckBundleOptions& options);

// The bytes of a file that is no larger than a bundle may be. Errors: invalid.
Result<std::string> read_bundle(const std::filesystem::path& file);

}  // namespace tally::cli
