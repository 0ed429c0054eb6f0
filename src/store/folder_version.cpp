#include "tally/store/folder_version.hpp"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <nlohmann/json.hpp>

#include "tally/core/descriptor.hpp"
#include "tally/core/json.hpp"
#include "tally/core/version.hpp"

namespace tally::store {

namespace {

namespace fs = std::filesystem;

fs::path version_file(const fs::path& folder) {
  return folder / "version.json";
}

std::string own_text() {
  return Json{{"format", folder_format}, {"program", std::string(version())}}.dump() + "\n";
}

tl::unexpected<Error> failed(const fs::path& file) {
  const std::string reason = std::generic_category().message(errno);
  return fail(
      ErrorKind::unavailable, {"store.open-failed", {{"file", file.string()}, {"reason", reason}}}
  );
}

Result<std::optional<std::string>> text_in(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(version_file(folder), ignored)) return std::nullopt;
  std::ifstream file(version_file(folder), std::ios::binary);
  if (!file) return failed(version_file(folder));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  if (file.bad()) return failed(version_file(folder));
  return text;
}

}  // namespace

Result<void> check_folder_version(const fs::path& folder) {
  const auto text = text_in(folder);
  if (!text) return tl::unexpected(text.error());
  if (!*text) return {};
  const Json json = Json::parse(**text, nullptr, false);
  const auto format = json.is_object() ? json.find("format") : json.end();
  const auto program = json.is_object() ? json.find("program") : json.end();
  if (!json.is_object() || format == json.end() || !format->is_number_unsigned() ||
      program == json.end() || !program->is_string()) {
    return fail(
        ErrorKind::invalid, {"store.version-malformed", {{"file", version_file(folder).string()}}}
    );
  }
  if (format->get<std::uint64_t>() <= folder_format) return {};
  return fail(
      ErrorKind::invalid,
      {"store.newer-folder",
       {{"folder", folder.string()},
        {"program", program->get<std::string>()},
        {"format", std::to_string(format->get<std::uint64_t>())},
        {"own", std::string(version())},
        {"known", std::to_string(folder_format)}}}
  );
}

Result<void> mark_folder_version(const fs::path& folder) {
  const auto before = text_in(folder);
  if (!before) return tl::unexpected(before.error());
  const std::string text = own_text();
  if (*before && **before == text) return {};
  const fs::path file = version_file(folder);
  const fs::path beside = file.string() + ".new";
  {
    const Descriptor made(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!made || ::write(made.get(), text.data(), text.size()) != std::ssize(text) ||
        ::fsync(made.get()) != 0) {
      return failed(beside);
    }
  }
  if (::rename(beside.c_str(), file.c_str()) != 0) return failed(file);
  const Descriptor names(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!names || ::fsync(names.get()) != 0) return failed(folder);
  return {};
}

}  // namespace tally::store
