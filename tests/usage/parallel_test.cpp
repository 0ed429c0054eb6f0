// Real threads on one ledger, with the real log writer in a thread of its own. Run under TSan too.
#include <atomic>
#include <barrier>
#include <mutex>
#include <set>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "tally/audit/posix.hpp"

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::limit;
using test::policy;
using test::terms;

class FixedClock final : public Clock {
 public:
  ClockReading read() override { return {sim::World::default_start, true}; }
};

class LockedRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    const std::lock_guard lock(mutex_);
    random_.fill(out);
  }

 private:
  std::mutex mutex_;
  sim::SimRandom random_{7};
};

struct Threads {
  FixedClock clock;
  LockedRandom random;
  sim::World world{1};
  sim::SimDisk disk{world};
  std::unique_ptr<audit::LogStorage> storage = std::make_unique<sim::SimLogStorage>(disk);
  std::unique_ptr<audit::LogWriter> log;
  std::unique_ptr<Enforcer> enforcer;
  // A thread that wakes a context may still be inside its post when the context has run out of
  // work: contexts outlive the writer's thread, as they do in the daemon.
  std::vector<std::unique_ptr<boost::asio::io_context>> contexts;
  std::unique_ptr<audit::LogThread> writer;

  Threads() {
    const audit::Genesis genesis = test::genesis();
    EXPECT_TRUE(audit::create_log(*storage, genesis, clock, random));
    auto recovered = audit::recover(*storage, LogMark{});
    EXPECT_TRUE(recovered);
    log = std::make_unique<audit::LogWriter>(
        *storage, std::move(*recovered), clock, random, Limits{}
    );
    enforcer = std::make_unique<Enforcer>(*log, clock, random);
    writer = std::make_unique<audit::LogThread>(*log);
  }
  ~Threads() {
    writer.reset();  // before the log that it runs
  }

  // `count` threads run `client(number)`, each in a context of its own, at the same time.
  // With `burst`, that many times at once in each: their decisions follow on one another without a
  // pause, so that threads meet in the ledger and not only at the log.
  template <class Client>
  void run(int count, const Client& client, int burst = 1) {
    std::barrier together(count);
    std::vector<std::thread> threads;
    for (int n = 0; n < count; ++n) {
      contexts.push_back(std::make_unique<boost::asio::io_context>(1));
      threads.emplace_back([&, n, context = contexts.back().get()] {
        for (int i = 0; i < burst; ++i) {
          boost::asio::co_spawn(*context, client(n), [](std::exception_ptr thrown) {
            EXPECT_FALSE(thrown);
          });
        }
        together.arrive_and_wait();
        context->run();
      });
    }
    for (auto& thread : threads) thread.join();
  }

  std::size_t count(const std::string& type) {
    writer.reset();
    std::size_t found = 0;
    EXPECT_TRUE(audit::for_each_record(*storage, 0, [&](const audit::RecordView& record) {
      found += record.type == type ? 1U : 0U;
    }));
    return found;
  }
};

TEST(Usage, LastUseIsGrantedOnceUnderParallelRequests) {
  for (int round = 0; round < 5; ++round) {
    Threads threads;
    threads.enforcer->activate(terms("urn:test:a", policy(Json::array({limit(1)}))));
    std::atomic<int> granted = 0;
    const auto client = [&](int) -> awaitable<void> {
      auto answer = co_await threads.enforcer->authorise(act("urn:test:a"));
      EXPECT_TRUE(answer);
      if (answer && std::holds_alternative<Grant>(*answer)) ++granted;
    };
    threads.run(16, client);
    EXPECT_EQ(granted, 1);
    EXPECT_EQ(threads.count("use.permitted"), 1U);
  }
}

TEST(Usage, ManyThreadsOnOneCounterGetExactlyWhatIsLeft) {
  Threads threads;
  threads.enforcer->activate(terms("urn:test:a", policy(Json::array({limit(2000)}))));
  std::atomic<int> granted = 0;
  std::atomic<int> refused = 0;
  const auto client = [&](int) -> awaitable<void> {
    auto answer = co_await threads.enforcer->authorise(act("urn:test:a"));
    EXPECT_TRUE(answer);
    if (!answer) co_return;
    if (const auto* grant = std::get_if<Grant>(&*answer)) {
      ++granted;
      threads.enforcer->complete(*grant, Outcome{});
    } else {
      ++refused;
    }
  };
  threads.run(64, client, 40);
  EXPECT_EQ(granted, 2000);
  EXPECT_EQ(refused, 560);
  EXPECT_EQ(threads.enforcer->state(AgreementId("urn:test:a"))->uses, 2000);
  EXPECT_EQ(threads.count("use.permitted"), 2000U);
}

TEST(Usage, OneKeyInManyThreadsIsOneUse) {
  Threads threads;
  threads.enforcer->activate(terms("urn:test:a", policy(Json::array({limit(1)}))));
  std::mutex mutex;
  std::set<std::string> uses;
  std::atomic<int> granted = 0;
  const auto client = [&](int) -> awaitable<void> {
    auto answer = co_await threads.enforcer->authorise(act("urn:test:a", "k"));
    EXPECT_TRUE(answer);
    if (answer && std::holds_alternative<Grant>(*answer)) {
      ++granted;
      const std::lock_guard lock(mutex);
      uses.insert(std::get<Grant>(*answer).use.value);
    }
  };
  threads.run(17, client);  // the first and sixteen continuations
  EXPECT_EQ(granted, 17);
  EXPECT_EQ(uses.size(), 1U);
  EXPECT_EQ(threads.count("use.permitted"), 1U);
}

TEST(Usage, ThreadsUseAbortCompleteAndCloseAtOnce) {
  Threads threads;
  for (int n = 0; n < 4; ++n) {
    threads.enforcer->activate(
        terms("urn:test:" + std::to_string(n), policy(Json::array({limit(1000)})))
    );
  }
  std::atomic<int> granted = 0;
  const auto client = [&](int n) -> awaitable<void> {
    for (int i = 0; i < 40; ++i) {
      const std::string agreement = "urn:test:" + std::to_string((n + i) % 4);
      if (n == 0 && i == 20) {
        audit::RecordDraft record(
            "policy.revoked", new_event(threads.random, threads.clock.read().at)
        );
        record.set("reason", "test");
        auto closed = co_await threads.enforcer->close(
            AgreementId("urn:test:0"), Closed::terminated, std::move(record)
        );
        EXPECT_TRUE(closed);
      }
      const std::string key = i % 3 == 0 ? "k" + std::to_string(i) : "";
      auto answer = co_await threads.enforcer->authorise(act(agreement, key));
      EXPECT_TRUE(answer);
      if (!answer || !std::holds_alternative<Grant>(*answer)) continue;
      const Grant grant = std::get<Grant>(*answer);
      if (!grant.repeated) ++granted;
      if (i % 5 == 0) {
        auto given_back = co_await threads.enforcer->abort(grant);
        (void)given_back;
      } else {
        threads.enforcer->complete(grant, Outcome{});
      }
      if (i % 7 == 0) threads.enforcer->flush_completions(false);
      EXPECT_TRUE(threads.enforcer->state(AgreementId(agreement)));
    }
  };
  threads.run(8, client);
  std::int64_t uses = 0;
  for (int n = 0; n < 4; ++n) {
    uses += threads.enforcer->state(AgreementId("urn:test:" + std::to_string(n)))->uses;
  }
  const auto permitted = static_cast<std::int64_t>(threads.count("use.permitted"));
  const auto given_back = static_cast<std::int64_t>(threads.count("use.aborted"));
  EXPECT_EQ(granted, permitted);
  EXPECT_EQ(uses, permitted - given_back);
}

}  // namespace
}  // namespace tally::usage
