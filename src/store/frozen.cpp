#include "frozen.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>

#include "tally/core/descriptor.hpp"

#include "database_file.hpp"
#include "sqlite.hpp"

namespace tally::store {

namespace {

using sqlite::Connection;
using sqlite::Failure;

void copy_pages(Connection& from, Connection& to) {
  sqlite3_backup* copy = sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
  if (copy == nullptr) to.raise(sqlite3_errcode(to.handle()));
  sqlite3_backup_step(copy, -1);
  const int code = sqlite3_backup_finish(copy);
  if (code != SQLITE_OK) to.raise(code);
}

class FrozenDatabase final : public Frozen {
 public:
  FrozenDatabase(Descriptor lock, std::unique_ptr<Connection> source)
      : lock_(std::move(lock)), source_(std::move(source)) {}

  Result<void> write(const std::filesystem::path& file) override {
    const auto failed = [&file](const std::string& reason) {
      return fail(
          ErrorKind::unavailable,
          {"store.copy-failed", {{"file", file.string()}, {"reason", reason}}}
      );
    };
    {
      // Made here, since SQLite would take the umask.
      const Descriptor made(::open(file.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
      if (!made) return failed(std::generic_category().message(errno));
    }
    try {
      Connection target(file.string(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, "");
      // The source holds a read transaction: all pages are of that moment.
      copy_pages(*source_, target);
      // One plain file that can be read where nothing may be written.
      target.execute("PRAGMA journal_mode=DELETE");
    } catch (const Failure& failure) {
      return failed(failure.what());
    }
    return {};
  }

 private:
  Descriptor lock_;
  std::unique_ptr<Connection> source_;
};

}  // namespace

Result<std::unique_ptr<Frozen>> freeze_database(
    const std::string& file, const std::string& vfs, Descriptor lock
) {
  try {
    auto source =
        std::make_unique<Connection>(file, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, vfs);
    source->execute("PRAGMA mmap_size=0; PRAGMA cache_size=-256");
    // A transaction takes its state with its first read.
    source->execute("BEGIN");
    source->number("SELECT size FROM mark");
    return std::make_unique<FrozenDatabase>(std::move(lock), std::move(source));
  } catch (const Failure& failure) {
    return read_failed(failure);
  }
}

Result<std::unique_ptr<Frozen>> freeze_stopped(const std::filesystem::path& folder) {
  const auto file = existing_database(folder);
  if (!file) return tl::unexpected(file.error());
  auto lock = lock_folder(folder);
  if (!lock) return fail(std::move(lock));
  return freeze_database(*file, "", std::move(*lock));
}

}  // namespace tally::store
