#include <cstdlib>
#include <filesystem>
#include <iostream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/odrl/cases.hpp"

namespace tally::odrl {
namespace {

namespace fs = std::filesystem;

std::string described(const CaseResult& result) {
  std::string out = result.file + " " + result.id;
  for (const auto& one : result.differences) {
    out += "\n  " + one.what + ": expected '" + one.expected + "', got '" + one.got + "'";
  }
  return out;
}

fs::path shared_cases() {
  const char* set = std::getenv("TALLY_SHARED");
  const fs::path shared = set ? fs::path(set) : fs::path(TALLY_SOURCE_DIR) / ".." / "shared";
  return shared / "odrl-cases";
}

TEST(Cases, OwnCasesAllPass) {
  const std::vector<fs::path> folders{fs::path(TALLY_SOURCE_DIR) / "tests/data/odrl"};
  const auto run = run_cases(folders);
  ASSERT_TRUE(run);
  EXPECT_GE(run->results.size(), 30U);
  for (const auto& result : run->results) {
    EXPECT_TRUE(result.passed()) << described(result);
  }
  EXPECT_EQ(run->failed, 0U);
}

TEST(Cases, SharedCasesAllPass) {
  if (!fs::exists(shared_cases())) GTEST_SKIP() << "no folder with shared ODRL cases";
  const std::vector<fs::path> folders{shared_cases()};
  const auto run = run_cases(folders);
  ASSERT_TRUE(run);
  EXPECT_GT(run->results.size(), 200U);
  for (const auto& result : run->results) {
    EXPECT_TRUE(result.passed()) << described(result);
    if (result.expected_permit == false) EXPECT_NE(result.permit, true) << described(result);
  }
}

TEST(Cases, AFileThatIsNoCaseFails) {
  const std::vector<fs::path> files{fs::path(TALLY_SOURCE_DIR) / "CMakePresets.json"};
  const auto run = run_cases(files);
  ASSERT_TRUE(run);
  EXPECT_EQ(run->failed, 1U);
  const std::vector<fs::path> missing{fs::path(TALLY_SOURCE_DIR) / "tests/data/no-such-folder"};
  EXPECT_FALSE(run_cases(missing));
}

// The walker must be able to see a wrong answer.
TEST(Cases, AWrongExpectationFails) {
  const auto document = parse_json(R"({
    "format": "odrl-case/1", "id": "wrong", "kind": "evaluate", "options": {"behaviour": "closed"},
    "policy": {"@type": "Set", "uid": "urn:p", "permission": [{"target": "urn:a", "action": "use"}]},
    "request": {"assignee": "urn:b", "action": "http://www.w3.org/ns/odrl/2/use", "target": "urn:a"},
    "stateOfTheWorld": {"currentTime": "2026-01-01T00:00:00Z"},
    "expected": {"decision": "deny"}})");
  ASSERT_TRUE(document);
  EXPECT_FALSE(run_case(*document).passed());
}

}  // namespace
}  // namespace tally::odrl
