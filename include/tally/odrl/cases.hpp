// The walker of policy cases: files that hold policies, a request, a state of the world and what is
// expected of them (docs/odrl-engine.md, "Cases"). The command `tally policy cases` and the tests
// share it. The only part of this module that reads files.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tally/core/json.hpp"
#include "tally/core/result.hpp"

namespace tally::odrl {

struct CaseDifference {
  std::string what;  // "decision", "reason", "rules/<id>", "verdict", …
  std::string expected;
  std::string got;
};

struct CaseResult {
  std::string file;  // empty for a case that did not come from one
  std::string id;
  std::optional<bool> permit;           // what the engine answered, where it was asked for that
  std::optional<bool> expected_permit;  // what the case says, where it does
  std::vector<CaseDifference> differences;
  [[nodiscard]] bool passed() const { return differences.empty(); }
};

struct CaseRun {
  std::vector<CaseResult> results;  // ordered by file
  std::size_t passed = 0;
  std::size_t failed = 0;
};

CaseResult run_case(const Json& document);

// Every *.json below the folders and every file named. Error: invalid, a path that cannot be read.
// A file that is not a case fails.
Result<CaseRun> run_cases(std::span<const std::filesystem::path> paths);

}  // namespace tally::odrl
