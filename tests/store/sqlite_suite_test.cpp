#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "tally/store/sqlite_store.hpp"

#include "core/store_suite.hpp"
#include "support/temp_dir.hpp"

namespace tally {
namespace {

class SilentNotices : public Notices {
  void note(Severity, const Message&) override {}
};

class SqliteHarness {
 public:
  SqliteHarness() { reopen(); }

  Store& store() { return *store_; }

  void reopen() {
    store_.reset();
    store::SqliteStore::Options options;
    options.folder = folder_.path();
    store_ = store::SqliteStore::open(std::move(options), notices_).value();
  }

  std::vector<Result<void>> commit_all(std::vector<Transaction> units) {
    boost::asio::io_context context{1};
    std::vector<Result<void>> results(units.size());
    auto commit = [](Store& store, Transaction unit, Result<void>& result) -> awaitable<void> {
      result = co_await store.commit(std::move(unit));
    };
    for (std::size_t i = 0; i < units.size(); ++i) {
      boost::asio::co_spawn(
          context, commit(*store_, std::move(units[i]), results[i]), boost::asio::detached
      );
    }
    context.poll();
    store_->commit_pending();
    context.run();
    return results;
  }

 private:
  testing::TempDir folder_;
  SilentNotices notices_;
  std::unique_ptr<store::SqliteStore> store_;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, StoreSuite, SqliteHarness);

}  // namespace tally
