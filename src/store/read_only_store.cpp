// The store of a folder that somebody else may be writing.
#include <memory>
#include <mutex>
#include <utility>

#include "tally/store/sqlite_store.hpp"

#include "database_file.hpp"
#include "sqlite.hpp"
#include "sqlite_reader.hpp"

namespace tally::store {

namespace {

using sqlite::Connection;
using sqlite::Failure;
using sqlite::Reader;

class ReadOnlyStore final : public Store {
 public:
  explicit ReadOnlyStore(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)), reader_(*connection_) {}

  awaitable<Result<void>> commit(Transaction) override {
    const Message refused{"store.read-only", {}};
    co_return fail(ErrorKind::internal, refused);
  }
  Result<std::optional<Row>> row(std::string_view kind, std::string_view id) override {
    return read([&] { return reader_.row(kind, id); });
  }
  Result<std::vector<Row>> rows(const Query& query) override {
    return read([&] { return reader_.rows(query); });
  }
  Result<std::vector<OutgoingMessage>> messages() override {
    return read([&] { return reader_.messages(); });
  }
  Result<std::optional<StoredAnswer>> answer(std::string_view process, std::string_view message_id)
      override {
    return read([&] { return reader_.answer(process, message_id); });
  }
  Result<std::vector<DraftRow>> drafts() override {
    return read([&] { return reader_.drafts(); });
  }
  Result<LogMark> mark() override {
    return read([&] { return reader_.mark(); });
  }

 private:
  template <class Read>
  auto read(Read&& what) -> Result<decltype(what())> {
    const std::lock_guard guard(mutex_);
    try {
      return what();
    } catch (const Failure& failure) {
      return read_failed(failure);
    }
  }

  std::unique_ptr<Connection> connection_;
  std::mutex mutex_;
  Reader reader_;  // mutex_
};

}  // namespace

Result<std::unique_ptr<Store>> open_read_only(const std::filesystem::path& folder) {
  auto file = existing_database(folder);
  if (!file) return fail(std::move(file));
  try {
    auto connection =
        std::make_unique<Connection>(*file, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, "");
    bound_memory(*connection, 256);
    if (auto ours = check_database(*connection, *file); !ours) return fail(std::move(ours));
    // Ends with the connection: all reads are of one state.
    connection->execute("BEGIN");
    return std::make_unique<ReadOnlyStore>(std::move(connection));
  } catch (const Failure& failure) {
    return fail(
        ErrorKind::unavailable, {"store.open-failed", {{"file", *file}, {"reason", failure.what()}}}
    );
  }
}

}  // namespace tally::store
