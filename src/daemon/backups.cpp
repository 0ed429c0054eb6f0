#include "backups.hpp"

#include <functional>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/record.hpp"

namespace tally::daemon {

namespace {

constexpr const char* folder_name = "backup-under-way";

tl::unexpected<Error> folder_failed(
    const std::filesystem::path& folder, const std::error_code& failed
) {
  return fail(
      ErrorKind::unavailable,
      {"daemon.backup-folder", {{"folder", folder.string()}, {"reason", failed.message()}}}
  );
}

}  // namespace

Backups::Backups(BackupParts parts, std::filesystem::path connector)
    : parts_(parts), connector_(std::move(connector)) {}

Result<void> Backups::tidy() {
  const auto folder = connector_ / folder_name;
  std::error_code failed;
  if (!std::filesystem::exists(folder, failed)) return {};
  // What this program did not put there stays.
  std::vector<std::filesystem::path> copies;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    if (entry.path().extension() == ".db") copies.push_back(entry.path());
  }
  if (failed) return folder_failed(folder, failed);
  for (const auto& copy : copies) {
    std::filesystem::remove(copy, failed);
    if (failed) return folder_failed(folder, failed);
  }
  if (std::filesystem::is_empty(folder, failed)) std::filesystem::remove(folder, failed);
  if (failed) return folder_failed(folder, failed);
  return {};
}

awaitable<Result<Json>> Backups::make() {
  if (*making_) co_return fail(ErrorKind::conflict, {"daemon.backup-under-way", {}});
  *making_ = true;
  const std::shared_ptr<void> done(nullptr, [making = making_](void*) { *making = false; });
  if (auto tidied = tidy(); !tidied) co_return fail(std::move(tidied));
  const auto folder = connector_ / folder_name;
  std::error_code failed;
  std::filesystem::create_directory(folder, failed);
  if (!failed) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failed);
  }
  if (failed) co_return folder_failed(folder, failed);

  // The log goes on meanwhile, but with nothing that the database does not know yet: what stands in
  // the two is what a machine would have kept that stopped here.
  LogMark at;
  std::function<void()> meanwhile = [this, &at] { at = parts_.log.mark(); };
  auto frozen = co_await parts_.store.freeze(std::move(meanwhile));
  if (!frozen) co_return fail(std::move(frozen));

  const std::string name = new_event(parts_.random, parts_.clock.read().at).value + ".db";
  Result<void> written;
  std::function<void()> write = [&] {
    written = (*frozen)->write(folder / name);
    frozen->reset();
  };
  co_await parts_.worker.run(std::move(write));
  if (!written) co_return fail(std::move(written));
  co_return Json{
      {"database", std::string(folder_name) + "/" + name},
      {"log", {{"size", at.size}, {"leaf", at.leaf}}}};
}

}  // namespace tally::daemon
