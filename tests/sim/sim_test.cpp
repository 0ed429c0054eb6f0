#include <algorithm>
#include <set>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <gtest/gtest.h>

#include "tally/core/digest.hpp"
#include "tally/core/task_group.hpp"

#include "core/store_suite.hpp"
#include "sim/disk.hpp"
#include "sim/memory_store.hpp"
#include "sim/network.hpp"
#include "sim/node.hpp"
#include "sim/sim_log_storage.hpp"

namespace tally::sim {
namespace {
namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return as_bytes(text);
}

// --- World, time, chance -------------------------------------------------------------------------

awaitable<void> ticks(Node& node, std::string name, int count, std::string& out) {
  for (int i = 0; i < count; ++i) {
    const Nanos pause = static_cast<Nanos>(node.random().next() % 5) * milliseconds(1);
    co_await node.timers().sleep_for(pause);
    out += name;
  }
}

std::pair<std::string, std::uint64_t> play(std::uint64_t seed) {
  World world(seed);
  Node a(world, "a");
  Node b(world, "b");
  std::string out;
  TaskGroup of_a(a.executor(), a.notices());
  TaskGroup of_b(b.executor(), b.notices());
  for (int i = 0; i < 3; ++i) {
    of_a.spawn("ticks", ticks(a, std::string(1, static_cast<char>('a' + i)), 20, out));
    of_b.spawn("ticks", ticks(b, std::string(1, static_cast<char>('x' + i)), 20, out));
  }
  world.run_until([&] { return of_a.size() + of_b.size() == 0; });
  return {out, world.fingerprint()};
}

TEST(World, TheSameSeedGivesTheSameOrder) {
  std::set<std::string> orders;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const auto first = play(seed);
    EXPECT_EQ(first.first.size(), 120U);
    EXPECT_EQ(first, play(seed));
    orders.insert(first.first);
  }
  EXPECT_EQ(orders.size(), 8U);
}

TEST(World, ContextsWithWorkTakeTurnsByTheSeed) {
  std::set<std::string> orders;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    World world(seed);
    Node a(world, "a");
    Node b(world, "b");
    std::string out;
    for (int i = 0; i < 8; ++i) {
      asio::post(a.executor(), [&] { out += 'a'; });
      asio::post(b.executor(), [&] { out += 'b'; });
    }
    world.run_for(0);
    EXPECT_EQ(out.size(), 16U);
    orders.insert(out);
  }
  EXPECT_GT(orders.size(), 4U);
}

TEST(World, EventsRunInTheOrderOfTimeAndThenOfCall) {
  World world(1);
  std::string out;
  world.after(5, &world, [&] { out += 'c'; });
  world.after(3, &world, [&] { out += 'a'; });
  world.after(3, &out, [&] { out += '!'; });
  world.after(3, &world, [&] { out += 'b'; });
  world.forget(&out);
  const Instant start = world.now();
  world.run_for(4);
  EXPECT_EQ(out, "ab");
  EXPECT_EQ(world.now() - start, 4);
  world.run_for(1);
  EXPECT_EQ(out, "abc");
  EXPECT_FALSE(world.step());
}

TEST(Timers, WakeAtTheirTimeAndNeverInline) {
  World world(1);
  Node node(world, "n");
  const Instant start = world.now();
  bool inline_wake = true;
  auto task = [&]() -> awaitable<void> {
    co_await node.timers().sleep_until(start + seconds(3600));
    EXPECT_EQ(world.now() - start, seconds(3600));
    // In the past: a post, so that what was posted before runs first.
    asio::post(node.executor(), [&] { inline_wake = false; });
    co_await node.timers().sleep_until(start);
    EXPECT_FALSE(inline_wake);
    EXPECT_EQ(world.now() - start, seconds(3600));
  };
  await(node, task());
}

TEST(Timers, TheLoserOfARaceIsCancelled) {
  World world(1);
  Node node(world, "n");
  const Instant start = world.now();
  auto race = [&](Nanos a, Nanos b) -> awaitable<std::size_t> {
    const auto winner = co_await (node.timers().sleep_for(a) || node.timers().sleep_for(b));
    co_return winner.index();
  };
  EXPECT_EQ(await(node, race(seconds(1), seconds(10))), 0U);
  EXPECT_EQ(world.now() - start, seconds(1));
  EXPECT_EQ(await(node, race(seconds(10), seconds(1))), 1U);
  EXPECT_EQ(world.now() - start, seconds(2));
}

TEST(Timers, ATaskGroupStopsASleeper) {
  World world(1);
  Node node(world, "n");
  TaskGroup group(node.executor(), node.notices());
  auto sleeper = [&]() -> awaitable<void> { co_await node.timers().sleep_for(seconds(86'400)); };
  group.spawn("sleeper", sleeper());
  world.run_for(seconds(1));
  EXPECT_EQ(group.size(), 1U);
  group.cancel();
  await(node, group.drained());
  EXPECT_EQ(group.size(), 0U);
  EXPECT_TRUE(node.notices().all().empty());
}

TEST(Timers, AStepOfTheClockIsSeenBySleepers) {
  World world(1);
  Node node(world, "n");
  const Instant start = node.clock().read().at;
  const Instant target = start + seconds(100);
  bool awake = false;
  auto task = [&]() -> awaitable<void> {
    co_await node.timers().sleep_until(target);
    EXPECT_GE(node.clock().read().at, target);
    awake = true;
  };
  TaskGroup group(node.executor(), node.notices());
  group.spawn("sleeper", task());
  world.run_for(seconds(10));
  node.clock().step(-seconds(50));
  world.run_for(seconds(100));
  EXPECT_FALSE(awake);
  node.clock().step(seconds(50));
  world.run_for(seconds(1));
  EXPECT_TRUE(awake);
  node.clock().set_reliable(false);
  EXPECT_FALSE(node.clock().read().reliable);
}

TEST(Worker, FinishesItsJobWhenItsCallerIsCancelled) {
  World world(1);
  Node node(world, "n");
  bool job_ran = false;
  bool went_on = false;
  auto caller = [&]() -> awaitable<void> {
    co_await node.worker().run([&] { job_ran = true; });
    EXPECT_TRUE(job_ran);
    co_await node.timers().sleep_for(0);
    went_on = true;
  };
  TaskGroup group(node.executor(), node.notices());
  group.spawn("caller", caller());
  world.run_for(0);
  group.cancel();
  world.run_for(seconds(1));
  EXPECT_TRUE(job_ran);
  EXPECT_FALSE(went_on);
  EXPECT_EQ(group.size(), 0U);
}

TEST(Worker, PassesAnExceptionOn) {
  World world(1);
  Node node(world, "n");
  auto caller = [&]() -> awaitable<void> {
    std::function<void()> job = [] { throw std::runtime_error("job"); };
    co_await node.worker().run(std::move(job));
  };
  EXPECT_THROW(await(node, caller()), std::runtime_error);
}

struct Flag {
  bool& gone;
  ~Flag() { gone = true; }
};

TEST(Node, APowerCutUnwindsWhatWaitsAndRunsNothing) {
  World world(1);
  bool unwound = false;
  bool went_on = false;
  {
    Node node(world, "n");
    TaskGroup group(node.executor(), node.notices());
    auto task = [&]() -> awaitable<void> {
      const Flag flag{unwound};
      co_await node.timers().sleep_for(seconds(5));
      went_on = true;
    };
    group.spawn("task", task());
    world.run_for(seconds(1));
    node.power_off();
    EXPECT_TRUE(unwound);
    world.run_for(seconds(10));
  }
  EXPECT_FALSE(went_on);
}

// --- Disk ----------------------------------------------------------------------------------------

std::string text_of(const SimDisk& disk, const std::string& path) {
  const auto bytes = disk.contents(path);
  return bytes ? std::string(bytes->begin(), bytes->end()) : "(missing)";
}

TEST(Disk, ASyncedFileWithASyncedNameSurvivesEveryCut) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    World world(seed);
    SimDisk disk(world);
    const auto file = disk.create("log/a").value();
    ASSERT_TRUE(disk.write_at(file, 0, bytes_of("durable")));
    ASSERT_TRUE(disk.sync(file));
    ASSERT_TRUE(disk.sync_names());
    disk.cut_power();
    disk.power_on();
    EXPECT_EQ(text_of(disk, "log/a"), "durable") << seed;
  }
}

TEST(Disk, WhatWasNotSyncedMayBeThereWholeInPartOrNot) {
  std::set<std::string> ends;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    World world(seed);
    SimDisk disk(world);
    const auto file = disk.create("log/a").value();
    ASSERT_TRUE(disk.sync_names());
    ASSERT_TRUE(disk.write_at(file, 0, bytes_of(std::string(10, 'x'))));
    ASSERT_TRUE(disk.sync(file));
    ASSERT_TRUE(disk.write_at(file, 10, bytes_of(std::string(3 * SimDisk::page, 'y'))));
    disk.cut_power();
    disk.power_on();
    const std::string text = text_of(disk, "log/a");
    EXPECT_EQ(text.substr(0, 10), "xxxxxxxxxx") << seed;
    const auto kept = std::count(text.begin(), text.end(), 'y');
    ends.insert(
        text.size() == 10                              ? "nothing"
        : kept == static_cast<long>(3 * SimDisk::page) ? "whole"
        : text.find('\0') != text.npos                 ? "holes"
                                                       : "short"
    );
  }
  EXPECT_EQ(ends, (std::set<std::string>{"nothing", "whole", "holes", "short"}));
}

TEST(Disk, ARenameIsOldOrNew) {
  std::set<std::string> ends;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    World world(seed);
    SimDisk disk(world);
    disk.overwrite("d/head", Bytes{'o', 'l', 'd'});
    const auto file = disk.create("d/head.new").value();
    ASSERT_TRUE(disk.write_at(file, 0, bytes_of("new")));
    ASSERT_TRUE(disk.sync(file));
    ASSERT_TRUE(disk.rename("d/head.new", "d/head"));
    EXPECT_EQ(text_of(disk, "d/head"), "new");
    disk.cut_power();
    disk.power_on();
    ends.insert(text_of(disk, "d/head"));
  }
  EXPECT_EQ(ends, (std::set<std::string>{"old", "new"}));
}

TEST(Disk, IsDeadBetweenCutAndStart) {
  World world(1);
  SimDisk disk(world);
  const auto file = disk.create("d/a").value();
  ASSERT_TRUE(disk.sync_names());
  EXPECT_TRUE(disk.lock("d"));
  EXPECT_FALSE(disk.lock("d"));
  disk.cut_power();
  EXPECT_EQ(disk.write_at(file, 0, bytes_of("x")).error(), DiskFault::dead);
  EXPECT_EQ(disk.sync(file).error(), DiskFault::dead);
  disk.power_on();
  EXPECT_EQ(disk.write_at(file, 0, bytes_of("x")).error(), DiskFault::dead);
  EXPECT_TRUE(disk.open("d/a"));
  EXPECT_TRUE(disk.lock("d"));
}

TEST(Disk, TheNthWriteFailsAndLeavesAPart) {
  World world(3);
  SimDisk disk(world);
  const auto file = disk.create("d/a").value();
  disk.fail_write(2);
  EXPECT_TRUE(disk.write_at(file, 0, bytes_of("1")));
  EXPECT_EQ(disk.write_at(file, 1, bytes_of("2222")).error(), DiskFault::io);
  EXPECT_LT(disk.size(file).value(), 6U);
  EXPECT_TRUE(disk.write_at(file, 1, bytes_of("3")));
  EXPECT_EQ(disk.writes(), 3U);
}

TEST(Disk, AFailedSyncLeavesPagesThatOnlyLookGood) {
  int lost = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    World world(seed);
    SimDisk disk(world);
    const auto file = disk.create("d/a").value();
    ASSERT_TRUE(disk.sync_names());
    ASSERT_TRUE(disk.write_at(file, 0, bytes_of("data")));
    disk.fail_sync(1);
    EXPECT_EQ(disk.sync(file).error(), DiskFault::io);
    EXPECT_EQ(text_of(disk, "d/a"), "data");
    EXPECT_TRUE(disk.sync(file));  // says yes: there is nothing dirty any more
    disk.drop_cache(file);
    if (text_of(disk, "d/a") != "data") ++lost;
  }
  EXPECT_GT(lost, 0);
  EXPECT_LT(lost, 40);
}

TEST(Disk, RunsFullAfterSoManyBytes) {
  World world(1);
  SimDisk disk(world);
  disk.set_free(10);
  const auto file = disk.create("d/a").value();
  EXPECT_TRUE(disk.write_at(file, 0, bytes_of("12345678")));
  EXPECT_TRUE(disk.write_at(file, 0, bytes_of("87654321")));  // no growth
  EXPECT_EQ(disk.write_at(file, 8, bytes_of("abcd")).error(), DiskFault::no_space);
  EXPECT_EQ(text_of(disk, "d/a"), "87654321ab");
  EXPECT_EQ(disk.free_bytes().value(), 0U);
  ASSERT_TRUE(disk.remove("d/a"));
  EXPECT_EQ(disk.free_bytes().value(), 10U);
}

// --- Store ---------------------------------------------------------------------------------------

awaitable<void> commit_one(Store& store, Transaction transaction, Result<void>* out, int* done) {
  *out = co_await store.commit(std::move(transaction));
  ++*done;
}

struct MemoryHarness {
  World world{7};
  StoreImage image;
  std::unique_ptr<Node> node = std::make_unique<Node>(world, "store");
  std::unique_ptr<MemoryStore> memory = std::make_unique<MemoryStore>(*node, image);

  Store& store() { return *memory; }
  std::vector<Result<void>> commit_all(std::vector<Transaction> units) {
    std::vector<Result<void>> results(units.size());
    int done = 0;
    const int all = static_cast<int>(units.size());
    TaskGroup group(node->executor(), node->notices());
    for (std::size_t i = 0; i < units.size(); ++i) {
      group.spawn("commit", commit_one(*memory, std::move(units[i]), &results[i], &done));
    }
    EXPECT_TRUE(world.run_until([&] { return done == all; }));
    return results;
  }
  void reopen() {
    memory.reset();
    node = std::make_unique<Node>(world, "store");
    memory = std::make_unique<MemoryStore>(*node, image);
  }
};

Transaction put(const char* id, std::uint64_t version) {
  Transaction unit;
  unit.puts = {store_suite::row(id, version)};
  return unit;
}

TEST(MemoryStore, AnAcknowledgedCommitSurvivesAPowerCutAnotherMay) {
  int kept_unacknowledged = 0;
  int lost_unacknowledged = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    World world(seed);
    StoreImage image;
    Result<void> results[3];
    int done = 0;
    {
      Node node(world, "n");
      MemoryStore store(node, image);
      TaskGroup group(node.executor(), node.notices());
      group.spawn("first", commit_one(store, put("a", 0), &results[0], &done));
      world.run_until([&] { return done == 1; });
      group.spawn("second", commit_one(store, put("b", 0), &results[1], &done));
      group.spawn("third", commit_one(store, put("c", 0), &results[2], &done));
      world.run_for(0);
      node.power_off();
    }
    world.run_for(seconds(1));
    EXPECT_EQ(done, 1);
    Node again(world, "n");
    MemoryStore store(again, image);
    EXPECT_TRUE(store.row("offer", "a").value());
    const bool second = store.row("offer", "b").value().has_value();
    const bool third = store.row("offer", "c").value().has_value();
    EXPECT_TRUE(second || !third) << seed;
    (second ? kept_unacknowledged : lost_unacknowledged)++;
  }
  EXPECT_GT(kept_unacknowledged, 0);
  EXPECT_GT(lost_unacknowledged, 0);
}

TEST(MemoryStore, StaysFailedAfterTheFirstFailure) {
  MemoryHarness harness;
  harness.memory->fail_batch(2);
  EXPECT_TRUE(harness.commit_all({put("a", 0)}).front());
  const auto failed = harness.commit_all({put("b", 0)}).front();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(failed.error().message.code, "store.failed");
  EXPECT_FALSE(harness.commit_all({put("c", 0)}).front());
  EXPECT_TRUE(harness.memory->failed());
  harness.reopen();
  EXPECT_TRUE(harness.commit_all({put("c", 0)}).front());
}

// --- Network -------------------------------------------------------------------------------------

const PartyId hospital{"health", "https://hospital.example/"};
const PartyId institute{"research", "https://institute.example/"};

PeerRequest request_to(const PartyId& to, std::string url, std::string body = {}) {
  PeerRequest request;
  request.to = to;
  request.url = std::move(url);
  request.http.method = "POST";
  request.http.body = std::move(body);
  return request;
}

struct Pair {
  explicit Pair(std::uint64_t seed) : world(seed) {
    wire.serve(server, "https://hospital.example/", hospital, [this](HttpRequest r, PartyId who) {
      return answer(std::move(r), std::move(who));
    });
  }
  awaitable<HttpResponse> answer(HttpRequest request, PartyId who) {
    ++handled;
    last_target = request.target;
    co_await server.timers().sleep_for(milliseconds(1));
    HttpResponse response;
    response.body = who.uri + request.body;
    co_return response;
  }
  Result<PeerAnswer> send(PeerRequest request) {
    return await(client, peer->send(std::move(request)));
  }

  World world;
  SimNetwork wire{world};
  Node server{world, "server"};
  Node client{world, "client"};
  std::unique_ptr<Peer> peer = wire.peer(client, institute);
  int handled = 0;
  std::string last_target;
};

TEST(Network, CarriesARequestAndItsAnswer) {
  Pair pair(1);
  const auto answer =
      pair.send(request_to(hospital, "https://hospital.example/dsp/catalog?x=1", "!"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, institute.uri + "!");
  EXPECT_EQ(pair.last_target, "/dsp/catalog?x=1");
}

TEST(Network, BelievesNoOtherParty) {
  Pair pair(1);
  const auto answer = pair.send(request_to(institute, "https://hospital.example/"));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::forbidden);
  EXPECT_EQ(pair.handled, 0);
}

TEST(Network, DropsAndDoublesBySeed) {
  int arrived_unanswered = 0;
  int not_arrived = 0;
  int doubled = 0;
  for (std::uint64_t seed = 0; seed < 80; ++seed) {
    Pair pair(seed);
    pair.wire.faults.drop_request = 0.3;
    pair.wire.faults.drop_answer = 0.3;
    pair.wire.faults.double_request = 0.3;
    const auto answer = pair.send(request_to(hospital, "https://hospital.example/a"));
    pair.world.run_for(seconds(1));
    if (answer) {
      EXPECT_GE(pair.handled, 1);
    } else {
      EXPECT_EQ(answer.error().message.code, "net.peer-timeout");
      (pair.handled > 0 ? arrived_unanswered : not_arrived)++;
    }
    if (pair.handled == 2) ++doubled;
  }
  EXPECT_GT(arrived_unanswered, 0);
  EXPECT_GT(not_arrived, 0);
  EXPECT_GT(doubled, 0);
}

TEST(Network, AMachineWithoutPowerIsUnreachableAndCutsWhatItWasDoing) {
  Pair pair(1);
  std::optional<Result<PeerAnswer>> answer;
  auto task = [&]() -> awaitable<void> {
    PeerRequest request = request_to(hospital, "https://hospital.example/a");
    answer = co_await pair.peer->send(std::move(request));
  };
  TaskGroup group(pair.client.executor(), pair.client.notices());
  group.spawn("send", task());
  pair.world.run_until([&] { return pair.handled == 1; });
  pair.server.power_off();
  pair.world.run_until([&] { return answer.has_value(); }, seconds(1));
  ASSERT_TRUE(answer);
  ASSERT_FALSE(*answer);
  EXPECT_EQ(answer->error().message.code, "net.peer-cut");
  const auto next = pair.send(request_to(hospital, "https://hospital.example/a"));
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().message.code, "net.peer-unreachable");
}

TEST(Network, AWaitForAnAnswerCanBeGivenUp) {
  Pair pair(1);
  pair.wire.part(hospital, institute);
  const Instant start = pair.world.now();
  auto race = [&]() -> awaitable<std::size_t> {
    PeerRequest request = request_to(hospital, "https://hospital.example/a");
    auto sending = pair.peer->send(std::move(request));
    const auto winner = co_await (std::move(sending) || pair.client.timers().sleep_for(seconds(2)));
    co_return winner.index();
  };
  EXPECT_EQ(await(pair.client, race()), 1U);
  EXPECT_EQ(pair.world.now() - start, seconds(2));
  pair.world.run_for(seconds(120));
}

class Countdown final : public BodyReader {
 public:
  explicit Countdown(std::size_t left) : left_(left) {}
  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    const std::size_t count = std::min(out.size(), left_);
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<std::uint8_t>(left_ - i);
    left_ -= count;
    co_return count;
  }

 private:
  std::size_t left_;
};

struct StreamEnd {
  std::uint64_t received = 0;
  bool whole = false;
  std::uint64_t sent = 0;
  bool complete = false;
  int times = 0;
};

StreamEnd stream(std::uint64_t seed, double cut, std::size_t size, std::size_t give_up_after) {
  Pair pair(seed);
  StreamEnd end;
  pair.wire.faults.cut_body = cut;
  auto serve = [&](HttpRequest, PartyId) -> awaitable<HttpResponse> {
    HttpResponse response;
    response.stream = std::make_unique<Countdown>(size);
    response.stream_length = size;
    response.on_sent = [&](std::uint64_t bytes, bool complete) {
      end.sent = bytes;
      end.complete = complete;
      ++end.times;
    };
    co_return response;
  };
  pair.wire.serve(pair.server, "https://hospital.example/data", hospital, serve);
  auto read = [&]() -> awaitable<void> {
    PeerRequest request = request_to(hospital, "https://hospital.example/data");
    auto opened = co_await pair.peer->open(std::move(request));
    EXPECT_TRUE(opened);
    EXPECT_EQ(opened->length, size);
    std::vector<std::uint8_t> piece(10'000);
    while (end.received < give_up_after) {
      const auto count = co_await opened->body->read(piece);
      if (!count) co_return;
      end.whole = *count == 0;
      if (end.whole) co_return;
      for (std::size_t i = 0; i < *count; ++i) {
        EXPECT_EQ(piece[i], static_cast<std::uint8_t>(size - end.received - i));
      }
      end.received += *count;
    }
  };
  await(pair.client, read());
  pair.world.run_for(seconds(10));
  return end;
}

TEST(Network, StreamsWholeBodiesWithBoundedMemory) {
  const StreamEnd end = stream(1, 0, 300'000, SIZE_MAX);
  EXPECT_TRUE(end.whole);
  EXPECT_EQ(end.received, 300'000U);
  EXPECT_EQ(end.sent, 300'000U);
  EXPECT_TRUE(end.complete);
  EXPECT_EQ(end.times, 1);
}

TEST(Network, CutsStreamsBySeedAndTellsBothSides) {
  std::set<std::uint64_t> lengths;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const StreamEnd end = stream(seed, 1, 300'000, SIZE_MAX);
    EXPECT_FALSE(end.whole);
    EXPECT_FALSE(end.complete && end.sent < 300'000);
    EXPECT_LE(end.received, end.sent);
    EXPECT_EQ(end.times, 1);
    lengths.insert(end.sent);
  }
  EXPECT_GT(lengths.size(), 10U);
}

TEST(Network, AReaderThatGoesStopsTheSender) {
  const StreamEnd end = stream(1, 0, 10'000'000, 50'000);
  EXPECT_FALSE(end.complete);
  EXPECT_LT(end.sent, 300'000U);
  EXPECT_EQ(end.times, 1);
}

TEST(Network, TheSameSeedGivesTheSameTraffic) {
  const auto run = [](std::uint64_t seed) {
    Pair pair(seed);
    pair.wire.faults = {0.1, 0.1, 0.2, 0, milliseconds(1), milliseconds(50)};
    for (int i = 0; i < 10; ++i) {
      (void)pair.send(request_to(hospital, "https://hospital.example/a"));
    }
    return pair.world.fingerprint();
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

// --- The log's storage ---------------------------------------------------------------------------

TEST(LogStorage, BehavesAsTheFaceSays) {
  World world(1);
  SimDisk disk(world);
  SimLogStorage storage(disk);
  ASSERT_TRUE(storage.lock());
  {
    SimLogStorage second(disk);
    EXPECT_EQ(second.lock().error().message.code, "audit.log-locked");
  }
  auto file = storage.create("000.seg");
  ASSERT_TRUE(file);
  EXPECT_FALSE(storage.create("000.seg"));
  ASSERT_TRUE((*file)->write_at(0, bytes_of("frame")));
  ASSERT_TRUE((*file)->sync());
  EXPECT_EQ(storage.read_small("head").value(), std::nullopt);
  ASSERT_TRUE(storage.replace_small("head", "one"));
  ASSERT_TRUE(storage.replace_small("head", "two"));
  EXPECT_EQ(storage.read_small("head").value(), "two");
  EXPECT_EQ(storage.list().value(), (std::vector<std::string>{"000.seg", "head"}));
  disk.set_free(2);
  EXPECT_EQ((*file)->write_at(5, bytes_of("frame")).error().message.code, "audit.disk-full");
  disk.set_free(std::nullopt);
  disk.fail_sync(1);
  EXPECT_EQ((*file)->sync().error().message.code, "audit.file-failed");
  disk.cut_power();
  disk.power_on();
  SimLogStorage after(disk);
  EXPECT_TRUE(after.lock());
  EXPECT_EQ(after.read_small("head").value(), "two");
  auto again = after.open("000.seg", false);
  ASSERT_TRUE(again);
  EXPECT_FALSE((*again)->write_at(0, bytes_of("x")));
  ASSERT_TRUE(after.remove("000.seg"));
  EXPECT_EQ(after.list().value(), (std::vector<std::string>{"head"}));
}

}  // namespace
}  // namespace tally::sim

namespace tally {
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, StoreSuite, sim::MemoryHarness);
}  // namespace tally
