// A log on a simulated disk, and the few things around it that every test here needs.
#pragma once

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "tally/audit/log_writer.hpp"
#include "tally/audit/note.hpp"
#include "tally/audit/recovery.hpp"
#include "tally/audit/verify.hpp"

#include "sim/sim_log_storage.hpp"

namespace tally::audit {

inline bool long_tests() {
  return std::getenv("TALLY_LONG") != nullptr;
}

class ManualClock final : public Clock {
 public:
  ClockReading read() override { return {at, reliable}; }
  Instant at{1'772'352'000, 0};  // 2026-03-01T08:00:00Z
  bool reliable = true;
};

class CountingRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(chance_.draw());
  }

 private:
  // Each its own: event ids must not repeat within a log.
  inline static std::uint64_t next_seed_ = 42;
  sim::Chance chance_{next_seed_++};
};

// Runs one awaitable to its end.
template <class T>
T run(boost::asio::io_context& context, awaitable<T> task) {
  std::optional<T> value;
  auto outer = [](awaitable<T> inner, std::optional<T>* out) -> awaitable<void> {
    out->emplace(co_await std::move(inner));
  };
  boost::asio::co_spawn(context, outer(std::move(task), &value), boost::asio::detached);
  context.restart();
  context.run();
  if (!value) throw std::runtime_error("the task did not end");
  return *std::move(value);
}

inline Genesis test_genesis(bool test = false) {
  Bytes key(32);
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  return {
      "clinic.example/log/1",
      {"north", "did:web:clinic.example"},
      make_verifier_key("clinic.example/log/1", key).text(),
      test};
}

using Files = std::map<std::string, Bytes>;

inline Files files_of(sim::SimDisk& disk) {
  Files files;
  for (const std::string& name : disk.list("log")) files[name] = *disk.contents("log/" + name);
  return files;
}
inline void put_files(sim::SimDisk& disk, const Files& files) {
  for (const std::string& name : disk.list("log")) {
    if (!files.contains(name)) (void)disk.remove("log/" + name);
  }
  (void)disk.sync_names();
  for (const auto& [name, bytes] : files) disk.overwrite("log/" + name, bytes);
}

// Says that it synced and did not: what a build that acknowledges before the sync amounts to. Only
// for showing that the tests notice.
class LyingStorage final : public LogStorage {
 public:
  explicit LyingStorage(std::unique_ptr<LogStorage> inner) : inner_(std::move(inner)) {}
  Result<void> lock() override { return inner_->lock(); }
  Result<std::vector<std::string>> list() override { return inner_->list(); }
  Result<std::unique_ptr<LogFile>> open(std::string_view name, bool writable) override {
    return wrap(inner_->open(name, writable));
  }
  Result<std::unique_ptr<LogFile>> create(std::string_view name) override {
    return wrap(inner_->create(name));
  }
  Result<void> sync_names() override { return inner_->sync_names(); }
  Result<std::optional<std::string>> read_small(std::string_view name) override {
    return inner_->read_small(name);
  }
  Result<void> replace_small(std::string_view name, std::string_view text) override {
    return inner_->replace_small(name, text);
  }
  Result<void> remove(std::string_view name) override { return inner_->remove(name); }
  Result<std::uint64_t> free_bytes() override { return inner_->free_bytes(); }

 private:
  class File final : public LogFile {
   public:
    explicit File(std::unique_ptr<LogFile> inner) : inner_(std::move(inner)) {}
    Result<std::uint64_t> size() override { return inner_->size(); }
    Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
      return inner_->read_at(offset, out);
    }
    Result<void> write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) override {
      return inner_->write_at(offset, bytes);
    }
    Result<void> sync() override { return {}; }
    Result<void> truncate(std::uint64_t size) override { return inner_->truncate(size); }
    void drop_cache() override {}

   private:
    std::unique_ptr<LogFile> inner_;
  };
  static Result<std::unique_ptr<LogFile>> wrap(Result<std::unique_ptr<LogFile>> file) {
    if (!file) return file;
    return std::make_unique<File>(*std::move(file));
  }
  std::unique_ptr<LogStorage> inner_;
};

inline std::unique_ptr<LogStorage> open_log(sim::SimDisk& disk, bool lying = false) {
  auto storage = std::make_unique<sim::SimLogStorage>(disk);
  if (!lying) return storage;
  return std::make_unique<LyingStorage>(std::move(storage));
}

// One life of a connector's log, from recovery to its end.
class LogLife {
 public:
  LogLife(
      sim::SimDisk& disk,
      Clock& clock,
      const Limits& limits,
      const LogMark& mark = {},
      const EachRecord& each = {},
      bool lying = false
  )
      : storage(open_log(disk, lying)) {
    auto recovered = recover(*storage, mark, each);
    if (!recovered) {
      error = recovered.error();
      return;
    }
    torn = recovered->torn;
    writer = std::make_unique<LogWriter>(*storage, *std::move(recovered), clock, random, limits);
  }

  Ticket enqueue(const std::string& type, const std::string& agreement = {}) {
    RecordDraft draft(type, new_event(random, {1'772'352'000, 0}));
    if (!agreement.empty()) draft.about(AgreementId(agreement));
    if (type == "use.permitted") {
      draft.set("action", "read")
          .set_canonical("decision", R"({"outcome":"permit"})")
          .set_canonical("rules", R"([{"id":"r1","n":1,"unit":"use"}])");
    }
    return writer->enqueue(std::move(draft));
  }
  Result<Appended> wait(Ticket ticket) { return run(context, writer->wait(std::move(ticket))); }
  Result<Appended> append(const std::string& type, const std::string& agreement = {}) {
    Ticket ticket = enqueue(type, agreement);
    writer->commit_batch();
    return wait(std::move(ticket));
  }

  CountingRandom random;
  boost::asio::io_context context;
  std::unique_ptr<LogStorage> storage;
  std::unique_ptr<LogWriter> writer;  // null when recovery refused
  std::optional<Error> error;
  std::optional<TornTail> torn;
};

// Small numbers, so that segments roll over and few zeros are written.
inline Limits small_limits() {
  Limits limits;
  limits.log_segment_bytes = 64 << 10;
  limits.log_ahead_bytes = 16 << 10;
  limits.log_fill_bytes = 8 << 10;
  limits.log_reserve_bytes = 4 << 10;
  return limits;
}

// Does at once what a thread would do some time.
class InlineHelper final : public Helper {
 public:
  void begin(std::function<void()> work) override { work(); }
  void wait() override {}
};

class LogTest : public ::testing::Test {
 protected:
  sim::World world{7};
  sim::SimDisk disk{world};
  ManualClock clock;
  CountingRandom random;
  Limits limits = small_limits();

  void create(bool test = false) {
    const auto storage = open_log(disk);
    const auto created = create_log(*storage, test_genesis(test), clock, random);
    ASSERT_TRUE(created) << render(created.error().message, Lang::en);
  }
  LogLife live(const LogMark& mark = {}) { return LogLife(disk, clock, limits, mark); }

  // A closed log of `records` records in batches of 1 … 9, over three agreements.
  void fill(std::size_t records, bool clean_stop = true) {
    create();
    LogLife life = live();
    ASSERT_TRUE(life.writer);
    std::size_t written = 1;
    std::size_t batch = 1;
    while (written < records) {
      const std::size_t now = std::min(batch, records - written);
      for (std::size_t i = 0; i < now; ++i) {
        const std::size_t n = written + i;
        if (n % 7 == 0) {
          life.enqueue("log.heartbeat");
        } else {
          life.enqueue("use.permitted", "urn:a:" + std::to_string(n % 3));
        }
      }
      clock.at = clock.at + milliseconds(250);
      ASSERT_TRUE(life.writer->commit_batch());
      written += now;
      batch = batch % 9 + 1;
    }
    if (clean_stop) {
      ASSERT_TRUE(life.writer->close());
    }
  }

  // With a helper the same must be found as without.
  VerifyReport verify() {
    const auto storage = open_log(disk);
    VerifyReport report = verify_log(*storage);
    InlineHelper helper;
    const VerifyReport helped = verify_log(*storage, Depth::plain, &helper);
    EXPECT_EQ(helped.verdict, report.verdict);
    EXPECT_EQ(helped.records, report.records);
    EXPECT_EQ(helped.root, report.root);
    EXPECT_EQ(helped.finding.has_value(), report.finding.has_value());
    if (helped.finding && report.finding) {
      EXPECT_EQ(helped.finding->message, report.finding->message);
      EXPECT_EQ(helped.finding->seq, report.finding->seq);
      EXPECT_EQ(helped.finding->file, report.finding->file);
      EXPECT_EQ(helped.finding->offset, report.finding->offset);
      EXPECT_EQ(helped.finding->link, report.finding->link);
    }
    return report;
  }

  // Offset of each record's text, and where the zeros begin, per file.
  struct Layout {
    struct Record {
      std::string file;
      std::uint64_t offset;
      std::size_t bytes;
    };
    std::vector<Record> records;
  };
  Layout layout() {
    Layout found;
    const auto storage = open_log(disk);
    const auto each = [&found](const RecordView& record) {
      found.records.push_back({std::string(record.file), record.offset, record.text.size()});
    };
    EXPECT_TRUE(for_each_record(*storage, 0, each));
    return found;
  }
};

inline std::string describe(const VerifyReport& report) {
  return report.finding ? report.finding->link + ": " + render(report.finding->message, Lang::en)
                        : std::string("whole");
}

}  // namespace tally::audit
