#include "connector_folder.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "tally/audit/note.hpp"
#include "tally/core/descriptor.hpp"
#include "tally/identity/enrolment.hpp"

#include "files.hpp"

namespace tally::cli {

namespace fs = std::filesystem;

Error file_error(const fs::path& file, const std::string& action) {
  return {
      ErrorKind::unavailable,
      {"cli.file-failed",
       {{"file", file.string()}, {"action", action}, {"reason", std::strerror(errno)}}},
      {}};
}

Result<void> create_file(const fs::path& file, std::string_view text, mode_t mode) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return tl::unexpected(file_error(file, "create"));
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  ::close(fd);
  if (!written) return tl::unexpected(file_error(file, "write"));
  return {};
}

Result<void> replace_file(const fs::path& file, std::string_view text, mode_t mode) {
  const fs::path beside = file.string() + ".new";
  fs::remove(beside);
  if (auto made = create_file(beside, text, mode); !made) return made;
  std::error_code failed;
  fs::rename(beside, file, failed);
  if (failed) {
    errno = failed.value();
    return tl::unexpected(file_error(file, "rename"));
  }
  return {};
}

Result<void> sync_folder(const fs::path& folder) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened || ::fsync(opened.get()) != 0) return tl::unexpected(file_error(folder, "sync"));
  return {};
}

Result<Ordered> read_config(const fs::path& folder) {
  const auto text = read_text(folder / "tally.json");
  if (!text) return tl::unexpected(text.error());
  auto config = Ordered::parse(*text, nullptr, false);
  const auto is_text = [&](const char* name) {
    return config["participant"].contains(name) && config["participant"][name].is_string();
  };
  if (config.is_discarded() || !config.is_object() || !config["participant"].is_object() ||
      !is_text("domain") || !is_text("uri")) {
    return fail(
        ErrorKind::invalid, {"cli.config-malformed", {{"file", (folder / "tally.json").string()}}}
    );
  }
  return config;
}

Result<Bytes> log_public_key(const fs::path& folder) {
  const fs::path file = folder / "tally.json";
  const auto text = read_text(file);
  if (!text) return fail(ErrorKind::invalid, {"cli.no-connector", {{"folder", folder.string()}}});
  const auto config = Json::parse(*text, nullptr, false);
  const auto pointer = Json::json_pointer("/log/key");
  if (config.is_discarded() || !config.contains(pointer) || !config[pointer].is_string()) {
    return fail(ErrorKind::invalid, {"cli.config-malformed", {{"file", file.string()}}});
  }
  const fs::path key = folder / config[pointer].get<std::string>();
  const auto pem = read_text(key);
  if (!pem) return tl::unexpected(pem.error());
  const auto seed = identity::ed25519_seed(*pem);
  if (!seed) return fail(ErrorKind::invalid, {"cli.log-key-malformed", {{"file", key.string()}}});
  return audit::ed25519_public_key(as_bytes(*seed));
}

int edit_config(
    const Console& console, const fs::path& folder, const std::function<void(Ordered&)>& change
) {
  auto config = read_config(folder);
  if (!config) return console.fail(config.error(), usage);
  change(*config);
  if (auto made = replace_file(folder / "tally.json", config->dump(2) + "\n", 0644); !made) {
    return console.fail(made.error(), refused);
  }
  return done;
}

Ordered without(const Ordered& list, const std::function<bool(const Ordered&)>& is_it) {
  Ordered kept = Ordered::array();
  for (const auto& entry : list) {
    if (!is_it(entry)) kept.push_back(entry);
  }
  return kept;
}

}  // namespace tally::cli
