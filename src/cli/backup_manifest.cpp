#include "backup_manifest.hpp"

#include <cerrno>
#include <functional>
#include <span>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "tally/core/descriptor.hpp"
#include "tally/core/json.hpp"
#include "tally/core/version.hpp"

#include "connector_folder.hpp"
#include "files.hpp"

namespace tally::cli {

namespace {

namespace fs = std::filesystem;

constexpr const char* manifest_name = "backup.json";
constexpr std::uint64_t manifest_format = 1;
constexpr std::size_t piece_bytes = 1 << 20;

using TakePiece = std::function<Result<void>(std::span<const std::uint8_t>)>;

Result<BackupFile> read_through(const fs::path& file, const TakePiece& take) {
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!opened) return tl::unexpected(file_error(file, "open"));
  Sha256 hash;
  BackupFile out;
  std::vector<std::uint8_t> piece(piece_bytes);
  for (;;) {
    const auto got = ::read(opened.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(file_error(file, "read"));
    if (got == 0) break;
    const auto bytes = std::span(piece).first(static_cast<std::size_t>(got));
    hash.update(bytes);
    out.bytes += bytes.size();
    if (auto taken = take(bytes); !taken) return fail(std::move(taken));
  }
  out.digest = hash.finish();
  return out;
}

tl::unexpected<Error> malformed(const fs::path& backup) {
  return fail(
      ErrorKind::invalid, {"cli.backup-malformed", {{"file", (backup / manifest_name).string()}}}
  );
}

Result<BackupManifest> parse_manifest(const fs::path& backup, const Json& json) {
  const auto text = [](const Json& object, const char* member) -> std::optional<std::string> {
    const auto found = object.find(member);
    if (found == object.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
  };
  const auto count = [](const Json& object, const char* member) -> std::optional<std::uint64_t> {
    const auto found = object.find(member);
    if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
    return found->get<std::uint64_t>();
  };
  if (!json.is_object()) return malformed(backup);
  const auto format = count(json, "format");
  const auto program = text(json, "program");
  if (!format || !program) return malformed(backup);
  if (*format > manifest_format) {
    return fail(
        ErrorKind::invalid,
        {"cli.backup-newer",
         {{"folder", backup.string()}, {"program", *program}, {"known", std::string(version())}}}
    );
  }
  const auto participant = text(json, "participant");
  const auto made = text(json, "made");
  const auto log = json.find("log");
  const auto files = json.find("files");
  const auto folders = json.find("folders");
  const auto held = json.find("held");
  if (!participant || !made || log == json.end() || !log->is_object() || files == json.end() ||
      !files->is_object() || folders == json.end() || !folders->is_array() || held == json.end() ||
      !held->is_boolean()) {
    return malformed(backup);
  }
  const auto origin = text(*log, "origin");
  const auto size = count(*log, "size");
  const auto leaf = text(*log, "leaf");
  if (!origin || !size || !leaf) return malformed(backup);
  BackupManifest out{
      *program, *participant, *made, *origin, {*size, *leaf}, held->get<bool>(), {}, {}};
  const auto within = [](const std::string& path) {
    const fs::path plain = fs::path(path).lexically_normal();
    return !path.empty() && plain.is_relative() && plain == path && *plain.begin() != "..";
  };
  for (const auto& folder : *folders) {
    if (!folder.is_string() || !within(folder.get<std::string>())) return malformed(backup);
    out.folders.push_back(folder.get<std::string>());
  }
  for (const auto& [path, file] : files->items()) {
    const auto bytes = file.is_object() ? count(file, "bytes") : std::nullopt;
    const auto digest = bytes ? text(file, "digest") : std::nullopt;
    const auto parsed = digest ? parse_digest_text(*digest) : std::nullopt;
    if (!parsed || !within(path)) return malformed(backup);
    out.files[path] = {*bytes, *parsed};
  }
  return out;
}

// All that lies in the copied folder. Errors: invalid (cli.backup-file-foreign) for links and more.
Result<std::vector<std::string>> files_there(const fs::path& backup) {
  const fs::path folder = copied_folder(backup);
  std::vector<std::string> out;
  std::error_code failed;
  fs::recursive_directory_iterator at(folder, failed);
  for (; !failed && at != fs::recursive_directory_iterator(); at.increment(failed)) {
    const auto kind = at->symlink_status().type();
    if (kind == fs::file_type::directory) continue;
    const auto name = at->path().lexically_relative(folder).string();
    if (kind != fs::file_type::regular) {
      return fail(ErrorKind::invalid, {"cli.backup-file-foreign", {{"file", name}}});
    }
    out.push_back(name);
  }
  if (failed) {
    errno = failed.value();
    return tl::unexpected(file_error(folder, "read"));
  }
  return out;
}

}  // namespace

fs::path copied_folder(const fs::path& backup) {
  return backup / "folder";
}

Result<BackupFile> copy_with_digest(const fs::path& from, const fs::path& to) {
  const Descriptor made(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!made) return tl::unexpected(file_error(to, "create"));
  const auto write = [&](std::span<const std::uint8_t> bytes) -> Result<void> {
    while (!bytes.empty()) {
      const auto put = ::write(made.get(), bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return tl::unexpected(file_error(to, "write"));
      bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return {};
  };
  auto copied = read_through(from, write);
  if (copied && ::fsync(made.get()) != 0) return tl::unexpected(file_error(to, "sync"));
  return copied;
}

Result<BackupFile> digest_file(const fs::path& file) {
  return read_through(file, [](std::span<const std::uint8_t>) { return Result<void>{}; });
}

Result<void> write_manifest(const fs::path& backup, const BackupManifest& manifest) {
  Json files = Json::object();
  for (const auto& [path, file] : manifest.files) {
    files[path] = {{"bytes", file.bytes}, {"digest", digest_text(file.digest)}};
  }
  const Json json = {
      {"format", manifest_format},
      {"program", manifest.program},
      {"participant", manifest.participant},
      {"made", manifest.made},
      {"log",
       {{"origin", manifest.origin}, {"size", manifest.log.size}, {"leaf", manifest.log.leaf}}},
      {"held", manifest.held},
      {"folders", manifest.folders},
      {"files", files}};
  return create_file(backup / manifest_name, json.dump(1) + "\n", 0600);
}

Result<BackupManifest> check_manifest(const fs::path& backup) {
  const auto text = read_text(backup / manifest_name);
  if (!text) return fail(ErrorKind::invalid, {"cli.backup-none", {{"folder", backup.string()}}});
  auto manifest = parse_manifest(backup, Json::parse(*text, nullptr, false));
  if (!manifest) return manifest;
  const auto there = files_there(backup);
  if (!there) return tl::unexpected(there.error());
  for (const std::string& name : *there) {
    const auto told = manifest->files.find(name);
    if (told == manifest->files.end()) {
      return fail(ErrorKind::invalid, {"cli.backup-file-foreign", {{"file", name}}});
    }
    const auto read = digest_file(copied_folder(backup) / name);
    if (!read) return tl::unexpected(read.error());
    if (*read != told->second) {
      return fail(ErrorKind::invalid, {"cli.backup-file-changed", {{"file", name}}});
    }
  }
  for (const auto& [name, file] : manifest->files) {
    std::error_code ignored;
    if (!fs::is_regular_file(copied_folder(backup) / name, ignored)) {
      return fail(ErrorKind::invalid, {"cli.backup-file-missing", {{"file", name}}});
    }
  }
  return manifest;
}

}  // namespace tally::cli
