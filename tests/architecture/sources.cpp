#include "architecture/sources.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace tally::architecture {
namespace fs = std::filesystem;

const std::vector<std::string>& modules() {
  static const std::vector<std::string> names = {
      "core",
      "odrl",
      "dsp",
      "audit",
      "identity",
      "usage",
      "catalog",
      "negotiation",
      "transfer",
      "events",
      "dataplane",
      "aggregates",
      "custody",
      "evidence",
      "store",
      "net",
      "sources",
      "api",
      "daemon",
      "cli"};
  return names;
}

namespace {

std::string include_of(std::string_view line) {
  const auto hash = line.find_first_not_of(" \t");
  if (hash == line.npos || line[hash] != '#') return {};
  const auto word = line.find("include", hash);
  if (word == line.npos) return {};
  const auto open = line.find_first_of("\"<", word);
  if (open == line.npos) return {};
  const auto close = line.find(line[open] == '<' ? '>' : '"', open + 1);
  return close == line.npos ? std::string{} : std::string(line.substr(open, close - open + 1));
}

}  // namespace

std::vector<SourceLine> read_lines(std::string_view text) {
  std::vector<SourceLine> lines(1);
  lines.back().number = 1;
  const auto at = [&](std::size_t i) { return i < text.size() ? text[i] : '\0'; };
  const auto new_line = [&] {
    const int number = lines.back().number + 1;
    lines.emplace_back();
    lines.back().number = number;
  };
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '\n') {
      new_line();
      ++i;
      const auto end = std::min(text.find('\n', i), text.size());
      lines.back().include = include_of(text.substr(i, end - i));
    } else if (c == '/' && at(i + 1) == '/') {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '/' && at(i + 1) == '*') {
      const auto end = std::min(text.find("*/", i + 2), text.size());
      for (; i < end; ++i) {
        if (text[i] == '\n') new_line();
      }
      i += 2;
    } else if (c == 'R' && at(i + 1) == '"') {
      const auto open = text.find('(', i);
      if (open == text.npos) break;
      const std::string close = ")" + std::string(text.substr(i + 2, open - i - 2)) + "\"";
      const auto end = std::min(text.find(close, open), text.size());
      lines.back().literals.emplace_back(text.substr(open + 1, end - open - 1));
      lines.back().code += "\"\"";
      for (std::size_t k = open; k < end; ++k) {
        if (text[k] == '\n') new_line();
      }
      i = end + close.size();
    } else if (c == '"') {
      std::string literal;
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i) {
        if (text[i] == '\\') ++i;
        literal += at(i);
      }
      if (at(i) == '"') ++i;
      lines.back().literals.push_back(literal);
      lines.back().code += "\"\"";
    } else if (c == '\'' && (i == 0 || std::isalnum(static_cast<unsigned char>(text[i - 1])) == 0)) {
      // A character; between digits it parts thousands.
      i += at(i + 1) == '\\' ? 3U : 2U;
      while (i < text.size() && text[i] != '\'' && text[i] != '\n') ++i;
      if (at(i) == '\'') ++i;
      lines.back().code += "' '";
    } else {
      lines.back().code += c;
      ++i;
    }
  }
  const auto first_end = std::min(text.find('\n'), text.size());
  lines.front().include = include_of(text.substr(0, first_end));
  return lines;
}

std::vector<SourceFile> read_sources(const std::string& folder) {
  const fs::path root = TALLY_SOURCE_DIR;
  std::vector<SourceFile> files;
  if (!fs::exists(root / folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".hpp" && extension != ".cpp" && extension != ".inc") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    SourceFile file;
    const fs::path relative = fs::relative(entry.path(), root);
    file.path = relative.generic_string();
    file.face = file.path.starts_with("include/");
    // include/tally/<module>/…, src/<module>/…, tests/<module>/…
    std::vector<std::string> parts;
    for (const auto& part : relative) parts.push_back(part.string());
    const std::size_t place = file.face ? 2 : 1;
    if (parts.size() > place + 1) file.module = parts[place];
    file.lines = read_lines(text);
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
    return a.path < b.path;
  });
  return files;
}

}  // namespace tally::architecture
