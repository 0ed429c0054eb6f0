// One connector serves many clients while its disk fails and its power goes, from a seed. After
// every restart the log, the ledger and what the clients were told must agree.
#include <functional>
#include <map>
#include <set>
#include <stdexcept>

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>

#include "tally/audit/verify.hpp"

#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::act;
using test::limit;
using test::outcome;
using test::policy;
using test::Rig;
using test::terms;

struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Told {
  std::map<std::string, std::string> granted;  // use → agreement
  std::set<std::string> given_back;
  std::set<std::string> closed;  // agreements
  std::size_t answers = 0;
  std::size_t crashes = 0;
  std::size_t snapshots = 0;
  std::size_t starts_from_one = 0;
};

// Several segments in a run, and little to fill ahead.
Limits small_log() {
  Limits limits;
  limits.log_segment_bytes = 384 << 10;
  limits.log_ahead_bytes = 64 << 10;
  limits.log_fill_bytes = 16 << 10;
  return limits;
}

struct Faults {
  bool any = true;
  bool lying_disk = false;  // says that it synced, and did not
};

class Simulation {
 public:
  Simulation(std::uint64_t seed, Faults how) : rig_(seed, small_log()), faults_(how) {}

  // Throws Broken.
  Told run() {
    limits_ = {{name(0), 40}, {name(1), 15}, {name(2), 5}, {name(3), 1'000'000}};
    // Created in honesty, so that what goes wrong afterwards is about uses.
    rig_.start();
    for (const auto& [agreement, most] : limits_) {
      rig_.agree(terms(agreement, policy(Json::array({limit(most)}))));
    }
    rig_.lying_disk = faults_.lying_disk;
    const int lives = faults_.any ? 4 : 1;
    for (int life = 0; life < lives; ++life) {
      live(life + 1 < lives);
      if (faults_.any) restart();
      check(!faults_.any);
    }
    return told_;
  }

  [[nodiscard]] std::string where() const { return rig_.world.where(); }

 private:
  static std::string name(int n) { return "urn:test:" + std::to_string(n); }

  void live(bool faulty) {
    auto& chance = rig_.world.chance();
    if (faults_.any && faulty) {
      if (chance.happens(0.3)) rig_.disk.fail_write(1 + chance.below(60), true);
      if (chance.happens(0.3)) rig_.disk.fail_sync(1 + chance.below(60), true);
    }
    running_ = true;
    for (int n = 0; n < 12; ++n) spawn(client(n));
    if (chance.happens(0.4)) spawn(closer());
    if (chance.happens(0.7)) spawn(photographer());
    // An end at any moment, also in the middle of a batch.
    rig_.world.run_for(faults_.any ? chance.span(milliseconds(5), milliseconds(180)) : seconds(1));
    if (!faults_.any) {
      running_ = false;
      rig_.enforcer->flush_completions(true);
      rig_.settle();
    }
  }

  void restart() {
    auto& chance = rig_.world.chance();
    ++told_.crashes;
    if (chance.happens(0.8)) {
      rig_.cut_power();
    } else {
      rig_.kill();
    }
    rig_.disk.mend();
    // Sometimes the disk fails while it is being recovered, and the next start finds that.
    if (chance.happens(0.2)) {
      rig_.disk.fail_sync(1 + chance.below(3));
      try {
        rig_.start();
      } catch (const std::runtime_error&) {
      }
      rig_.disk.mend();
      rig_.cut_power();
    }
    try {
      rig_.start();
    } catch (const std::runtime_error& error) {
      throw Broken(error.what());
    }
    // What it stands on was durable before it was kept.
    if (rig_.refused) throw Broken("refused: " + render(*rig_.refused, Lang::en));
    if (rig_.started_from > 0) ++told_.starts_from_one;
  }

  void spawn(awaitable<void> task) {
    boost::asio::co_spawn(rig_.node->executor(), std::move(task), [](std::exception_ptr) {});
  }

  awaitable<void> client(int number) {
    auto& chance = rig_.world.chance();
    std::string key;
    while (running_) {
      const std::string agreement = name(static_cast<int>(chance.below(4)));
      // Some ask again with the key that they had.
      if (key.empty() || chance.happens(0.7)) key = std::to_string(chance.draw());
      const bool keyed = chance.happens(0.5);
      Act asked = act(agreement, keyed ? key : "");
      asked.app = AppId("app-" + std::to_string(number));
      auto answer = co_await rig_.enforcer->authorise(std::move(asked));
      ++told_.answers;
      if (answer && std::holds_alternative<Grant>(*answer)) {
        const Grant grant = std::get<Grant>(*answer);
        told_.granted[grant.use.value] = agreement;
        co_await rig_.node->timers().sleep_for(chance.span(0, milliseconds(4)));
        if (chance.happens(0.2)) {
          auto aborted = co_await rig_.enforcer->abort(grant);
          // With a key another request may continue the use, and then nothing is given back.
          if (aborted && !keyed) told_.given_back.insert(grant.use.value);
        } else if (chance.happens(0.9)) {
          Outcome done;
          done.bytes = 100;
          rig_.enforcer->complete(grant, done);
        }
      } else if (!answer) {
        co_await rig_.node->timers().sleep_for(milliseconds(20));
      }
      if (chance.happens(0.1)) rig_.enforcer->flush_completions(false);
      co_await rig_.node->timers().sleep_for(chance.span(0, milliseconds(5)));
    }
  }

  // Takes snapshots while the others are at it: the next start goes on from the last.
  awaitable<void> photographer() {
    auto& chance = rig_.world.chance();
    while (running_) {
      co_await rig_.node->timers().sleep_for(chance.span(0, milliseconds(60)));
      if (rig_.take_snapshot()) ++told_.snapshots;
    }
  }

  awaitable<void> closer() {
    auto& chance = rig_.world.chance();
    co_await rig_.node->timers().sleep_for(chance.span(0, milliseconds(200)));
    const std::string agreement = name(static_cast<int>(chance.below(3)));
    auto record = test::draft(rig_, "policy.revoked", agreement);
    auto closed = co_await rig_.enforcer->close(
        AgreementId(agreement), Closed::terminated, std::move(record)
    );
    if (closed) told_.closed.insert(agreement);
  }

  void check(bool nothing_failed) {
    const auto broken = [&](const std::string& what) { throw Broken(what); };
    auto reader = rig_.reader();
    const auto report = audit::verify_log(*reader);
    // `incomplete`: the log is open, its head file is older than its end.
    if (report.verdict == audit::Verdict::changed) {
      broken("the log does not verify: " + report.finding->message.code);
    }

    std::set<std::string> permitted;
    std::set<std::string> aborted;
    std::map<std::string, std::int64_t> counts;
    std::set<std::string> closed;
    const auto each = [&](const audit::RecordView& record) {
      if (record.type == "use.permitted") {
        permitted.emplace(record.event);
        ++counts[record.agreement];
        if (closed.contains(record.agreement)) broken("a permit behind the close");
      } else if (record.type == "use.aborted") {
        aborted.insert(Json::parse(record.raw("use")));
        --counts[record.agreement];
      } else if (record.type == "policy.revoked") {
        closed.insert(record.agreement);
      }
    };
    if (!audit::for_each_record(*reader, 0, each)) broken("the log cannot be read");
    for (const auto& [use, agreement] : told_.granted) {
      if (!permitted.contains(use)) broken("an acknowledged use was lost: " + use);
    }
    for (const auto& use : told_.given_back) {
      if (!aborted.contains(use)) broken("an acknowledged abort was lost: " + use);
    }
    for (const auto& agreement : told_.closed) {
      if (!closed.contains(agreement)) broken("an acknowledged close was lost: " + agreement);
    }
    for (const auto& [agreement, most] : limits_) {
      const auto state = rig_.enforcer->state(AgreementId(agreement));
      if (counts[agreement] > most) broken("more uses than agreed under " + agreement);
      if (state->uses != counts[agreement] || state->limits.front().used != counts[agreement]) {
        broken("the ledger is not the log under " + agreement);
      }
      if ((state->closed == Closed::terminated) != closed.contains(agreement)) {
        broken("closed is not what the log says under " + agreement);
      }
    }
    if (nothing_failed && permitted.size() != told_.granted.size()) {
      broken("a use is counted that nobody was told of");
    }
  }

  Rig rig_;
  Faults faults_;
  Told told_;
  bool running_ = false;
  std::map<std::string, std::int64_t> limits_;
};

// Sanitizers make it eight times slower, and look for something else.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TALLY_FEWER_SEEDS
#endif
#endif
#ifdef TALLY_FEWER_SEEDS
constexpr std::uint64_t seeds = 20;
#else
constexpr std::uint64_t seeds = 100;
#endif

TEST(SimulatedConnector, KeepsItsPromisesOverFailingWritesAndPowerCuts) {
  std::size_t uses = 0;
  std::size_t answers = 0;
  std::size_t crashes = 0;
  std::size_t snapshots = 0;
  std::size_t starts_from_one = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Simulation simulation(seed, Faults{});
    try {
      const Told told = simulation.run();
      uses += told.granted.size();
      answers += told.answers;
      crashes += told.crashes;
      snapshots += told.snapshots;
      starts_from_one += told.starts_from_one;
    } catch (const Broken& broken) {
      FAIL() << broken.what() << " (" << simulation.where() << ")";
    }
  }
  EXPECT_GT(uses, 50 * seeds);
  EXPECT_GT(answers, uses);
  EXPECT_EQ(crashes, 4 * seeds);
  EXPECT_GT(snapshots, seeds);
  EXPECT_GT(starts_from_one, 2 * seeds);
}

TEST(SimulatedConnector, WithoutACrashEveryPermitWasAcknowledged) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Faults how;
    how.any = false;
    Simulation simulation(seed, how);
    try {
      EXPECT_GT(simulation.run().granted.size(), 300U);
    } catch (const Broken& broken) {
      FAIL() << broken.what() << " (" << simulation.where() << ")";
    }
  }
}

// The check above can fail: on a disk that acknowledges before it has synced, acknowledged uses
// are lost, and it says so.
TEST(SimulatedConnector, IsFoundOutWhenItAcknowledgesBeforeTheSync) {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Faults how;
    how.lying_disk = true;
    Simulation simulation(seed, how);
    try {
      simulation.run();
    } catch (const Broken& broken) {
      const std::string what = broken.what();
      lost += what.starts_with("an acknowledged use was lost") ? 1 : 0;
    }
  }
  EXPECT_GT(lost, 0);
}

TEST(SimulatedConnector, TheSameSeedGivesTheSameLog) {
  const auto log = [](std::uint64_t seed) {
    std::string texts;
    Rig rig(seed);
    rig.start();
    rig.agree(terms("urn:test:a", policy(Json::array({limit(5)}))));
    for (int i = 0; i < 8; ++i) (void)rig.use("urn:test:a", i % 2 == 0 ? "k" : "");
    rig.stop();
    for (const auto& record : rig.records()) texts += record.body.dump();
    return texts;
  };
  EXPECT_EQ(log(3), log(3));
  EXPECT_NE(log(3), log(4));
}

}  // namespace
}  // namespace tally::usage
