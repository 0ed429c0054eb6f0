// The text of the program as the architecture tests read it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tally::architecture {

struct SourceLine {
  int number = 0;
  std::string code;                   // without comments; string literals emptied: ""
  std::vector<std::string> literals;  // the string literals, unescaped as little as needed
  std::string include;                // what an #include names, with its quotes or brackets
};

struct SourceFile {
  std::string path;    // from the root of the project
  std::string module;  // "audit"
  bool face = false;   // under include/
  std::vector<SourceLine> lines;
};

// Splits a text into lines without comments. Knows //, /* */, "…", '…' and R"(…)".
std::vector<SourceLine> read_lines(std::string_view text);

// All .hpp, .cpp and .inc files under `folder`, sorted by path.
std::vector<SourceFile> read_sources(const std::string& folder);

// The modules in dependency order: each may include itself and those before it.
const std::vector<std::string>& modules();

}  // namespace tally::architecture
