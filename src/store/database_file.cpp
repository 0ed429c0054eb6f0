#include "database_file.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>

#include "tally/store/folder_version.hpp"
#include "tally/store/sqlite_store.hpp"

namespace tally::store {

Result<std::string> existing_database(const std::filesystem::path& folder) {
  const std::string file = database_file(folder);
  std::error_code failed;
  if (!std::filesystem::is_regular_file(file, failed)) {
    return fail(ErrorKind::not_found, {"store.none", {{"folder", folder.string()}}});
  }
  if (auto known = check_folder_version(folder); !known) return fail(std::move(known));
  return file;
}

Result<Descriptor> lock_folder(const std::filesystem::path& folder) {
  const std::string file = folder.string() + "/lock";
  Descriptor lock(::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  if (lock.get() < 0) {
    const std::string reason = std::generic_category().message(errno);
    return fail(
        ErrorKind::unavailable, {"store.open-failed", {{"file", file}, {"reason", reason}}}
    );
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorKind::conflict, {"store.locked", {{"folder", folder.string()}}});
  }
  return lock;
}

Result<void> check_database(sqlite::Connection& connection, const std::string& file) {
  const std::int64_t found = connection.number("PRAGMA user_version");
  if (connection.number("PRAGMA application_id") != application_id) {
    return fail(ErrorKind::invalid, {"store.not-ours", {{"file", file}}});
  }
  if (found == schema_version) return {};
  return fail(
      ErrorKind::invalid,
      {"store.newer-schema",
       {{"file", file},
        {"found", std::to_string(found)},
        {"known", std::to_string(schema_version)}}}
  );
}

void bound_memory(sqlite::Connection& connection, int kib) {
  connection.execute(("PRAGMA cache_size=-" + std::to_string(kib)).c_str());
  connection.execute("PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA busy_timeout=5000");
}

tl::unexpected<Error> read_failed(const sqlite::Failure& failure) {
  return fail(ErrorKind::unavailable, {"store.read-failed", {{"reason", failure.what()}}});
}

}  // namespace tally::store
