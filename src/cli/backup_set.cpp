#include "backup_set.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <system_error>

#include "connector_folder.hpp"

namespace tally::cli {

namespace {

namespace fs = std::filesystem;

// Copied otherwise, or of the process that runs.
constexpr std::array<std::string_view, 7> apart = {
    "tally.db", "tally.db-wal", "tally.db-shm", "log", "lock", "reserve", "backup-under-way"};
constexpr std::array<std::string_view, 3> of_others = {"custody", "private", "payload-keys"};

template <std::size_t n>
bool is_one_of(const std::array<std::string_view, n>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void collect_absolute(const Ordered& value, std::set<std::string>& found) {
  if (value.is_string() && value.get_ref<const std::string&>().starts_with('/')) {
    found.insert(value.get<std::string>());
  }
  if (!value.is_structured()) return;
  for (const auto& below : value) collect_absolute(below, found);
}

}  // namespace

Result<BackupSet> backup_set(const fs::path& folder, Held held) {
  BackupSet set;
  std::error_code failed;
  fs::recursive_directory_iterator at(folder, failed);
  for (; !failed && at != fs::recursive_directory_iterator(); at.increment(failed)) {
    const fs::path relative = at->path().lexically_relative(folder);
    const std::string name = relative.string();
    const bool skipped =
        at.depth() == 0 &&
        (is_one_of(apart, name) || (held == Held::left_out && is_one_of(of_others, name)));
    std::error_code gone;  // meanwhile: it is not there for the copy either
    const auto kind = at->symlink_status(gone).type();
    if (skipped) {
      if (kind == fs::file_type::directory) at.disable_recursion_pending();
    } else if (kind == fs::file_type::directory) {
      set.folders.push_back(relative);
    } else if (kind == fs::file_type::regular) {
      set.files.push_back(relative);
    } else if (kind != fs::file_type::not_found) {
      set.left_out.push_back(name);
    }
  }
  if (failed) {
    errno = failed.value();
    return tl::unexpected(file_error(folder, "read"));
  }
  std::sort(set.files.begin(), set.files.end());
  std::sort(set.folders.begin(), set.folders.end());
  return set;
}

Result<std::vector<std::string>> named_outside(const fs::path& folder) {
  const auto config = read_config(folder);
  if (!config) return tl::unexpected(config.error());
  std::set<std::string> named;
  collect_absolute(*config, named);
  std::error_code ignored;
  const fs::path home = fs::canonical(folder, ignored);
  std::vector<std::string> outside;
  for (const std::string& one : named) {
    const fs::path whole = fs::weakly_canonical(one, ignored);
    const auto inside = whole.lexically_relative(home).string();
    if (!inside.starts_with("..") || !fs::exists(whole, ignored)) continue;
    outside.push_back(one);
  }
  return outside;
}

}  // namespace tally::cli
