// kill -9 while 64 threads share one counter, on a real disk: nothing that was acknowledged is
// lost, no life raises what is left, and what is left at the end is granted to the last use.
//
// TALLY_LONG=1 kills a hundred times. The seed of the chances is printed; TALLY_SEED sets it.
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tally/audit/posix.hpp"

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

namespace asio = boost::asio;
using std::chrono::microseconds;

constexpr int threads_of_a_life = 64;
constexpr std::size_t most_uses = 20'000;
// So many uses after the first are acknowledged before a life is killed, at most; and so many more
// while the kill comes.
constexpr std::size_t most_before_kill = 60;
constexpr std::size_t most_meanwhile = 16;
const std::string agreement = "urn:test:a";

bool is_long() {
  return std::getenv("TALLY_LONG") != nullptr;
}

// What the clients of all lives saw, in memory that outlives them.
struct Seen {
  struct Use {
    std::atomic<bool> written;
    std::array<char, 48> id;
  };
  std::atomic<std::size_t> most;  // from here on clients wait: what is left is not for one life
  std::atomic<std::size_t> granted;
  std::atomic<std::size_t> refused;
  std::array<Use, most_uses> uses;

  void acknowledge(const UseId& use) {
    Use& slot = uses.at(granted.fetch_add(1));
    std::memcpy(slot.id.data(), use.value.data(), std::min(use.value.size(), slot.id.size() - 1));
    slot.written = true;
  }
  [[nodiscard]] std::set<std::string> acknowledged() const {
    std::set<std::string> out;
    for (const Use& use : uses) {
      if (use.written) out.insert(use.id.data());
    }
    return out;
  }
};

class StandingClock final : public Clock {
 public:
  ClockReading read() override { return {sim::World::default_start, true}; }
};

class RandomOfALife final : public Random {
 public:
  explicit RandomOfALife(std::uint64_t life) : random_(life) {}
  void fill(std::span<std::uint8_t> out) override {
    const std::lock_guard lock(mutex_);
    random_.fill(out);
  }

 private:
  std::mutex mutex_;
  sim::SimRandom random_;
};

// One life of a connector: it starts over what is on the disk and serves until it is killed, or
// until every client was refused. Whether it went well.
bool live(
    const std::filesystem::path& folder, std::uint64_t number, std::int64_t most, Seen& seen
) {
  StandingClock clock;
  RandomOfALife random(number);
  auto storage = audit::open_log_folder(folder, audit::FolderAccess::writable);
  if (!storage) return false;
  Enforcer enforcer(clock, random);
  std::optional<Error> unreadable;
  auto recovered = audit::recover(**storage, LogMark{}, [&](const audit::RecordView& record) {
    auto replayed = enforcer.replay(record);
    if (!replayed) unreadable = replayed.error();
  });
  if (!recovered || unreadable) return false;
  audit::LogWriter log(**storage, *std::move(recovered), clock, random, Limits{});
  enforcer.attach(log);
  enforcer.activate(test::terms(agreement, test::policy(Json::array({test::limit(most)}))));

  std::array<asio::io_context, threads_of_a_life> contexts;
  const audit::LogThread writer(log);
  asio::co_spawn(contexts.front(), enforcer.finish_replay(), asio::detached);
  contexts.front().run();
  contexts.front().restart();

  std::atomic<bool> good = true;
  const auto client = [&]() -> awaitable<void> {
    for (;;) {
      while (seen.granted >= seen.most) std::this_thread::sleep_for(microseconds(50));
      auto answer = co_await enforcer.authorise(test::act(agreement));
      if (!answer) {
        good = false;
        co_return;
      }
      const auto* grant = std::get_if<Grant>(&*answer);
      if (grant == nullptr) break;
      seen.acknowledge(grant->use);
      enforcer.complete(*grant, Outcome{});
    }
    ++seen.refused;
  };
  std::vector<std::thread> threads;
  for (auto& context : contexts) {
    threads.emplace_back([&] {
      asio::co_spawn(context, client(), asio::detached);
      context.run();
    });
  }
  for (auto& thread : threads) thread.join();
  return good;
}

class KilledCounter : public testing::Test {
 protected:
  void SetUp() override {
    std::array<char, 32> name{"killed-counter-XXXXXX"};
    // Beside the program, not in /tmp, which may be memory.
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name.data();
    StandingClock clock;
    RandomOfALife random(0);
    auto storage = audit::open_log_folder(folder_, audit::FolderAccess::writable);
    ASSERT_TRUE(storage);
    ASSERT_TRUE(audit::create_log(**storage, test::genesis(), clock, random));
    void* shared =
        ::mmap(nullptr, sizeof(Seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    seen_ = new (shared) Seen{};
  }
  void TearDown() override {
    ::munmap(seen_, sizeof(Seen));
    std::filesystem::remove_all(folder_);
  }

  pid_t begin(std::uint64_t number, std::int64_t most) {
    const pid_t life = ::fork();
    if (life == 0) ::_exit(live(folder_, number, most, *seen_) ? 0 : 1);
    EXPECT_GT(life, 0);
    return life;
  }
  static int end_of(pid_t life) {
    int status = 0;
    while (::waitpid(life, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  // The permitted uses in the log; none was given back, and none is there twice.
  std::set<std::string> permitted() {
    std::set<std::string> found;
    auto storage = audit::open_log_folder(folder_, audit::FolderAccess::read_only);
    EXPECT_TRUE(storage);
    if (!storage) return found;
    const auto read = audit::for_each_record(**storage, 0, [&](const audit::RecordView& record) {
      EXPECT_NE(record.type, "use.aborted");
      if (record.type != "use.permitted") return;
      EXPECT_TRUE(found.insert(std::string(record.event)).second);
    });
    EXPECT_TRUE(read);
    return found;
  }

  std::filesystem::path folder_;
  Seen* seen_ = nullptr;
};

TEST_F(KilledCounter, ManyThreadsGetExactlyWhatIsLeftOverKills) {
  const int kills = is_long() ? 100 : 8;
  const auto most = static_cast<std::int64_t>(
      static_cast<std::size_t>(kills) * (most_before_kill + most_meanwhile + threads_of_a_life)
  );
  const char* given = std::getenv("TALLY_SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "TALLY_SEED=" << seed << '\n';
  std::mt19937_64 chance(seed);

  std::uint64_t number = 1;
  std::size_t before = 0;
  int during_use = 0;
  for (int killed = 0; killed < kills; ++number) {
    const std::size_t granted = seen_->granted;
    const std::size_t until = granted + chance() % most_before_kill;
    seen_->most = until + most_meanwhile;
    const pid_t life = begin(number, most);
    while (seen_->granted < until) {
      ASSERT_EQ(::waitpid(life, nullptr, WNOHANG), 0) << "a life ended by itself";
      std::this_thread::sleep_for(microseconds(50));
    }
    std::this_thread::sleep_for(microseconds(chance() % 500));
    ::kill(life, SIGKILL);
    const int status = end_of(life);
    ASSERT_TRUE(WIFSIGNALED(status)) << "a life ended by itself";
    ++killed;
    during_use += seen_->granted > granted ? 1 : 0;

    const auto counted = permitted();
    ASSERT_LE(static_cast<std::int64_t>(counted.size()), most);
    ASSERT_GE(counted.size(), before);
    before = counted.size();
    for (const auto& use : seen_->acknowledged()) {
      ASSERT_TRUE(counted.contains(use)) << use << " was acknowledged and is not in the log";
    }
  }
  ASSERT_GT(during_use, kills / 2);

  // What the kills left is granted, to the last use and no further.
  const std::size_t granted = seen_->granted;
  seen_->most = most_uses;
  ASSERT_LT(before, static_cast<std::size_t>(most));
  ASSERT_EQ(end_of(begin(number, most)), 0);
  EXPECT_EQ(seen_->granted - granted, static_cast<std::size_t>(most) - before);
  EXPECT_EQ(seen_->refused, static_cast<std::size_t>(threads_of_a_life));
  EXPECT_EQ(permitted().size(), static_cast<std::size_t>(most));
  std::cout << kills << " kills, " << before << " of " << most << " uses counted by then, "
            << seen_->acknowledged().size() << " acknowledged in all\n";
}

}  // namespace
}  // namespace tally::usage
