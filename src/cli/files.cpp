#include "files.hpp"

#include <fstream>
#include <sstream>

namespace tally::cli {

Result<std::string> read_text(const std::filesystem::path& file) {
  std::error_code ignored;
  std::ifstream in;
  // A folder opens like a file and reads like an empty one.
  if (!std::filesystem::is_directory(file, ignored)) in.open(file, std::ios::binary);
  if (!in.is_open()) {
    return fail(ErrorKind::invalid, {"cli.file-unreadable", {{"file", file.string()}}});
  }
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Result<void> write_bytes(const std::filesystem::path& file, std::string_view bytes) {
  std::error_code failed;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), failed);
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (failed || !out) {
    return tally::fail(ErrorKind::invalid, {"cli.file-unwritable", {{"file", file.string()}}});
  }
  return {};
}

}  // namespace tally::cli
