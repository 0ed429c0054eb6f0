// What an auditor asks of logs: `tally audit query|reconcile|trace`. Files alone, also beside a
// running connector; each log is verified before anything is said about it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "console.hpp"

namespace tally::cli {

struct QueryOptions {
  std::filesystem::path folder;
  std::vector<std::string> types;
  std::string agreement;
  std::string party;
  std::string reason;
  int level_min = -1;  // not asked for
  bool personal = false;
  std::string home;  // --cross-border
  std::string from;
  std::string until;
  std::string count_by;  // type, agreement, party, reason, or empty
};
// A line for each record that matches, or for each value of `count_by` with its number; then the
// count. Exit: 0, 1 the log was changed, 2 of some records the log does not say what was asked, 3
// usage.
int audit_query(const Console& console, const QueryOptions& options);

// Both logs against each other, a line for each thing that both should say (MATCH, MISSING_HERE, …;
// docs/audit-commands.md). Exit: 0 all match, 1 something does not or a log was changed, 3 usage.
int audit_reconcile(
    const Console& console, const std::filesystem::path& here, const std::filesystem::path& there
);

struct TraceOptions {
  std::vector<std::filesystem::path> folders;
  std::string content;    // "sha256:<hex>", or empty
  std::string agreement;  // the other way to begin
  bool up = false;        // neither or both: both ways
  bool down = false;
  bool prov = false;
};
// Where data came from and where it went, across the logs given: a line a record, or PROV-O as
// JSON-LD. Exit: 0, 1 no log names the start or a log was changed, 3 usage.
int audit_trace(const Console& console, const TraceOptions& options);

}  // namespace tally::cli
