// What `tally audit reconcile` and `trace` read: logs, or bundles.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "tally/audit/record_source.hpp"

#include "console.hpp"

namespace tally::cli {

struct CheckedSource {
  audit::RecordSource records;
  std::unique_ptr<audit::LogStorage> storage;  // what `records` reads; none of a bundle
  std::string path;
  std::string agreement;  // the one that a bundle is about; empty: a log
  bool whole = true;      // false: unfinished, or a bundle that does not show all it should
};

// As open_checked; a file is taken for a bundle and checked against itself.
std::optional<CheckedSource> open_source(
    const Console& console, const std::filesystem::path& path, int& code
);

}  // namespace tally::cli
