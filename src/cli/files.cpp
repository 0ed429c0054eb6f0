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

}  // namespace tally::cli
