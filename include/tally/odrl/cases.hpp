// The walker of policy cases: files that hold a policy, a request, a state of the world and the
// expected decision (docs/odrl-profile.md, "Cases"). The command `tally policy cases` and the tests
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

// out_of_scope: the case needs something that this engine refuses (and so denies) or does not
// offer. It is never counted as passed, and `permit` is false in it.
enum class CaseVerdict { passed, failed, out_of_scope };

struct CaseDifference {
  std::string what;  // "decision", "reason", "rules/<id>", …
  std::string expected;
  std::string got;
};

struct CaseResult {
  std::string file;  // empty for a case that did not come from one
  std::string id;
  CaseVerdict verdict = CaseVerdict::failed;
  bool permit = false;                  // what the engine answered
  std::optional<bool> expected_permit;  // what the case says, where it does
  std::vector<CaseDifference> differences;
};

struct CaseRun {
  std::vector<CaseResult> results;  // ordered by file
  std::size_t passed = 0;
  std::size_t failed = 0;
  std::size_t out_of_scope = 0;
};

CaseResult run_case(const Json& document);

// Every *.json below the folders and every file named. Error: invalid, a path that cannot be read.
// A file that is not a case fails.
Result<CaseRun> run_cases(std::span<const std::filesystem::path> paths);

}  // namespace tally::odrl
