#include "backup_command.hpp"

#include <cerrno>
#include <optional>
#include <system_error>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "tally/audit/log_copy.hpp"
#include "tally/audit/new_log.hpp"
#include "tally/audit/posix.hpp"
#include "tally/core/version.hpp"
#include "tally/store/sqlite_store.hpp"

#include "backup_check.hpp"
#include "backup_manifest.hpp"
#include "backup_set.hpp"
#include "connector_folder.hpp"
#include "wall_clock.hpp"

namespace tally::cli {

namespace {

namespace fs = std::filesystem;

constexpr const char* database_name = "tally.db";

Result<void> make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return tl::unexpected(file_error(folder, "create"));
}

// One backup under way: the target holds no manifest until everything is in it.
class Copying {
 public:
  Copying(const Console& console, const BackupOptions& options)
      : console_(console),
        options_(options),
        source_(options.connection.folder),
        target_(copied_folder(options.target)) {}

  Result<BackupManifest> run() {
    if (auto ready = prepare(); !ready) return fail(std::move(ready));
    if (auto copied = copy_moment(); !copied) return fail(std::move(copied));
    if (auto copied = copy_files(); !copied) return fail(std::move(copied));
    const auto log = check_copy(target_);
    if (!log) return tl::unexpected(log.error());
    if (auto digested = digest_moment(); !digested) return fail(std::move(digested));
    const auto config = read_config(target_);
    if (!config) return tl::unexpected(config.error());
    WallClock clock;
    manifest_.program = std::string(version());
    manifest_.participant = (*config)["participant"]["uri"].get<std::string>();
    manifest_.made = format_micros(clock.read().at);
    manifest_.origin = log->origin;
    manifest_.log = log->at;
    manifest_.held = options_.held;
    if (auto made = write_manifest(options_.target, manifest_); !made) return fail(std::move(made));
    return std::move(manifest_);
  }

  [[nodiscard]] const std::vector<std::string>& left_out() const { return left_out_; }
  [[nodiscard]] bool while_it_ran() const { return running_; }

 private:
  Result<void> prepare() {
    if (const auto config = read_config(source_); !config) return tl::unexpected(config.error());
    if (audit::new_log_under_way(source_)) {
      return fail(
          ErrorKind::conflict, {"daemon.new-log-unfinished", {{"folder", source_.string()}}}
      );
    }
    std::error_code ignored;
    if (fs::exists(options_.target, ignored) && !fs::is_empty(options_.target, ignored)) {
      return fail(
          ErrorKind::conflict, {"cli.target-not-empty", {{"folder", options_.target.string()}}}
      );
    }
    if (auto made = make_folder(options_.target); !made) return made;
    if (auto made = make_folder(target_); !made) return made;
    return make_folder(target_ / "log");
  }

  // Database and log as they were at one moment.
  Result<void> copy_moment() {
    auto frozen = store::freeze_stopped(source_);
    if (!frozen) {
      running_ = frozen.error().message.code == "store.locked";
      return running_ ? copy_of_running() : fail(std::move(frozen));
    }
    if (auto done = (*frozen)->write(target_ / database_name); !done) return done;
    return copy_log(std::nullopt);
  }

  Result<void> copy_of_running() {
    auto api = Management::open(options_.connection, console_.lang);
    if (!api) return tl::unexpected(api.error());
    const auto made = api->call("POST", "/api/v1/backups", Json::object());
    if (!made) return tl::unexpected(made.error());
    const fs::path database = source_ / made->value("database", std::string());
    const auto copied = copy_with_digest(database, target_ / database_name);
    std::error_code ignored;
    fs::remove(database, ignored);  // else the next start does
    if (!copied) return tl::unexpected(copied.error());
    const Json log = made->value("log", Json::object());
    return copy_log(LogMark{log.value("size", std::uint64_t{0}), log.value("leaf", std::string())});
  }

  Result<void> copy_log(const std::optional<LogMark>& at) {
    auto from = audit::open_log_folder(source_ / "log", audit::FolderAccess::read_only);
    if (!from) return fail(std::move(from));
    auto to = audit::open_log_folder(target_ / "log", audit::FolderAccess::writable);
    if (!to) return fail(std::move(to));
    return audit::copy_log(**from, **to, at);
  }

  Result<void> copy_files() {
    auto set = backup_set(source_, options_.held ? Held::included : Held::left_out);
    if (!set) return fail(std::move(set));
    left_out_ = std::move(set->left_out);
    for (const fs::path& folder : set->folders) {
      if (auto made = make_folder(target_ / folder); !made) return made;
      manifest_.folders.push_back(folder.string());
    }
    for (const fs::path& file : set->files) {
      const auto copied = copy_with_digest(source_ / file, target_ / file);
      std::error_code ignored;
      if (!copied && !fs::exists(source_ / file, ignored)) {
        // Destroyed or replaced meanwhile: nothing to keep.
        fs::remove(target_ / file, ignored);
        continue;
      }
      if (!copied) return tl::unexpected(copied.error());
      manifest_.files[file.string()] = *copied;
    }
    return {};
  }

  Result<void> digest_moment() {
    std::vector<fs::path> files = {database_name};
    for (const auto& one : fs::directory_iterator(target_ / "log")) {
      files.push_back(fs::path("log") / one.path().filename());
    }
    for (const fs::path& file : files) {
      const auto read = digest_file(target_ / file);
      if (!read) return tl::unexpected(read.error());
      manifest_.files[file.string()] = *read;
    }
    return {};
  }

  const Console& console_;
  const BackupOptions& options_;
  const fs::path source_;
  const fs::path target_;
  BackupManifest manifest_;
  std::vector<std::string> left_out_;
  bool running_ = false;
};

Json described(const BackupManifest& manifest) {
  return {
      {"participant", manifest.participant},
      {"made", manifest.made},
      {"program", manifest.program},
      {"origin", manifest.origin},
      {"records", manifest.log.size},
      {"leaf", manifest.log.leaf},
      {"held", manifest.held},
      {"files", manifest.files.size()}};
}

Result<void> write_copy(const BackupManifest& manifest, const RestoreOptions& options) {
  // Beside the place and then named: a stop on the way leaves no folder that looks whole.
  fs::path beside = fs::absolute(options.folder).lexically_normal();
  if (!beside.has_filename()) beside = beside.parent_path();
  const fs::path whole = beside;
  beside += ".restoring";
  std::error_code failed;
  fs::remove_all(beside, failed);
  if (auto made = make_folder(beside); !made) return made;
  for (const auto& folder : manifest.folders) {
    if (auto made = make_folder(beside / folder); !made) return made;
  }
  if (auto made = make_folder(beside / "log"); !made) return made;
  for (const auto& [name, told] : manifest.files) {
    const auto copied = copy_with_digest(copied_folder(options.backup) / name, beside / name);
    if (!copied) return tl::unexpected(copied.error());
    if (*copied != told) {
      return fail(ErrorKind::conflict, {"cli.backup-file-changed", {{"file", name}}});
    }
  }
  for (const fs::path& one : {beside, beside / "log"}) {
    if (auto synced = sync_folder(one); !synced) return synced;
  }
  fs::rename(beside, whole, failed);
  if (!failed) return sync_folder(whole.parent_path());
  errno = failed.value();
  return tl::unexpected(file_error(whole, "rename"));
}

}  // namespace

int back_up(const Console& console, const BackupOptions& options) {
  Copying copying(console, options);
  const auto manifest = copying.run();
  if (!manifest) return console.fail(manifest.error());
  const auto outside = named_outside(options.connection.folder);
  if (console.json) {
    Json out = described(*manifest);
    out["running"] = copying.while_it_ran();
    out["leftOut"] = copying.left_out();
    out["outside"] = outside ? Json(*outside) : Json::array();
    console.print(out.dump(2));
    return done;
  }
  console.say(
      {"cli.backup-made",
       {{"folder", options.target.string()},
        {"files", std::to_string(manifest->files.size())},
        {"size", std::to_string(manifest->log.size)}}}
  );
  console.say({"cli.backup-holds-keys", {}});
  console.say({manifest->held ? "cli.backup-with-held" : "cli.backup-without-held", {}});
  for (const auto& name : copying.left_out()) console.say({"cli.backup-left", {{"file", name}}});
  if (!outside) return done;
  for (const auto& name : *outside) console.say({"cli.backup-outside", {{"file", name}}});
  return done;
}

int restore(const Console& console, const RestoreOptions& options) {
  const auto manifest = check_manifest(options.backup);
  if (!manifest) return console.fail(manifest.error());
  const auto log = check_copy(copied_folder(options.backup));
  if (!log) return console.fail(log.error());
  std::error_code ignored;
  if (fs::exists(options.folder, ignored) && !fs::is_empty(options.folder, ignored)) {
    const Message message{"cli.target-not-empty", {{"folder", options.folder.string()}}};
    return console.fail(message, refused);
  }
  if (auto written = write_copy(*manifest, options); !written) {
    return console.fail(written.error());
  }
  if (console.json) {
    console.print(described(*manifest).dump(2));
    return done;
  }
  console.say(
      {"cli.restored",
       {{"folder", options.folder.string()},
        {"participant", manifest->participant},
        {"made", manifest->made},
        {"size", std::to_string(manifest->log.size)}}}
  );
  console.say({"cli.restored-behind", {{"folder", options.folder.string()}}});
  console.say({manifest->held ? "cli.restored-with-held" : "cli.restored-without-held", {}});
  if (const auto outside = named_outside(options.folder)) {
    for (const auto& name : *outside) console.say({"cli.restored-outside", {{"file", name}}});
  }
  return done;
}

}  // namespace tally::cli
