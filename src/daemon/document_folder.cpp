#include "document_folder.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace tally::daemon {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t most_documents = 100'000;

void add_fingerprint(const fs::path& folder, Sha256& sha) {
  std::vector<std::string> lines;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const auto name = entry.path().filename().string();
    if (!name.ends_with(".json") || name.starts_with('.')) continue;
    const auto written = entry.last_write_time(failed).time_since_epoch().count();
    lines.push_back(
        name + "|" + std::to_string(entry.file_size(failed)) + "|" + std::to_string(written)
    );
  }
  std::sort(lines.begin(), lines.end());
  for (const auto& line : lines) sha.update(line + "\n");
  sha.update("--\n");
}

}  // namespace

std::vector<catalog::Document> read_folder(const fs::path& folder, std::size_t most_bytes) {
  std::vector<catalog::Document> out;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    if (out.size() >= most_documents) break;
    const auto name = entry.path().filename().string();
    if (!name.ends_with(".json") || name.starts_with('.')) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    // One byte more than allowed is enough to be refused by its size.
    std::string text(most_bytes + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    text.shrink_to_fit();
    out.push_back({(folder.filename() / name).string(), std::move(text), catalog::Home::file});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

Digest fingerprint(const std::vector<fs::path>& folders) {
  Sha256 sha;
  for (const auto& folder : folders) add_fingerprint(folder, sha);
  return sha.finish();
}

std::vector<Json> to_json(const std::vector<catalog::Problem>& problems, Lang lang) {
  std::vector<Json> out;
  out.reserve(problems.size());
  for (const auto& problem : problems) {
    out.push_back(
        {{"file", problem.file},
         {"pointer", problem.pointer},
         {"code", problem.message.code},
         {"params", problem.message.params},
         {"text", render(problem.message, lang)}}
    );
  }
  return out;
}

}  // namespace tally::daemon
