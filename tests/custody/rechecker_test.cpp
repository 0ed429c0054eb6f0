#include "tally/custody/rechecker.hpp"

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "custody/held.hpp"

namespace tally::custody {
namespace {

using test::Machine;

const ArtefactId x("x");

class RecheckerTest : public ::testing::Test {
 protected:
  explicit RecheckerTest(RecheckSettings settings = {}) : settings_(settings) {
    m.start();
    restart();
  }
  void restart() {
    checker = std::make_unique<Rechecker>(
        RecheckerParts{
            *m.custody,
            *m.holdings,
            m.rig.node->clock(),
            m.rig.node->timers(),
            m.rig.node->random(),
            m.rig.node->notices()},
        settings_
    );
  }
  ~RecheckerTest() override {
    checker.reset();
    m.off();
  }
  void power_cycle() {
    checker.reset();
    m.off();
    m.start();
    ASSERT_TRUE(m.holdings->load());
    restart();
  }
  Result<void> check() { return m.run(checker->check(x, false)); }
  std::string altered() { return m.holdings->find(x)->altered.code; }
  std::vector<std::uint8_t> bytes(const std::string& file) {
    return m.rig.disk.contents("custody/" + file).value();
  }
  void put(const std::string& file, std::vector<std::uint8_t> bytes) {
    m.rig.disk.overwrite("custody/" + file, std::move(bytes));
  }
  void run_checker() {
    boost::asio::co_spawn(m.rig.node->executor(), checker->run(), [](std::exception_ptr) {});
  }

  Machine m;
  RecheckSettings settings_;
  std::unique_ptr<Rechecker> checker;
};

TEST_F(RecheckerTest, WhatIsWholeStaysReadableAndIsSaidToHaveBeenLookedAt) {
  hold(m, "x", "a", std::string(300'000, 'd'));
  EXPECT_FALSE(m.holdings->find(x)->checked);
  ASSERT_TRUE(check());
  EXPECT_EQ(altered(), "");
  EXPECT_TRUE(m.holdings->find(x)->checked);
  EXPECT_TRUE(m.rig.records("data.altered").empty());
  EXPECT_TRUE(unreadable(*m.holdings).empty());
}

// Every way in which a disk or a person changes what is held.
TEST_F(RecheckerTest, WhatIsNotWhatWasReceivedIsFoundMarkedAndRecordedOnce) {
  struct Case {
    const char* name;
    std::function<void()> change;
    const char* code;
  };
  hold(m, "x", "a", std::string(300'000, 'd'));
  const auto blob = bytes("blobs/x.blob");
  const auto key = bytes("keys/x.key");
  const std::vector<Case> cases = {
      {"a bit in the middle",
       [&] {
         auto changed = blob;
         changed[changed.size() / 2] ^= 1;
         put("blobs/x.blob", changed);
       },
       "custody.damaged"},
      {"cut at the end of a chunk",
       [&] {
         put("blobs/x.blob", {blob.begin(), blob.begin() + 16 + 2 * 65'552});
       },
       "custody.damaged"},
      {"cut to nothing", [&] { put("blobs/x.blob", {}); }, "custody.damaged"},
      {"longer",
       [&] {
         auto changed = blob;
         changed.resize(changed.size() + 100);
         put("blobs/x.blob", changed);
       },
       "custody.damaged"},
      {"without its bytes",
       [&] { ASSERT_TRUE(m.rig.disk.remove("custody/blobs/x.blob")); },
       "custody.missing"},
      {"without its key",
       [&] { ASSERT_TRUE(m.rig.disk.remove("custody/keys/x.key")); },
       "custody.missing"},
      {"another key",
       [&] {
         auto changed = key;
         changed.back() ^= 1;
         put("keys/x.key", changed);
       },
       "custody.damaged"},
      {"under a wrapping key that is gone",
       [&] {
         auto changed = key;
         changed[8] ^= 1;
         put("keys/x.key", changed);
       },
       "custody.wrong-key"},
  };
  std::size_t found = 0;
  for (const auto& one : cases) {
    one.change();
    ASSERT_TRUE(check()) << one.name;
    EXPECT_EQ(altered(), one.code) << one.name;
    ASSERT_TRUE(check()) << one.name;  // again is no other finding
    const auto records = m.rig.records("data.altered");
    ASSERT_EQ(records.size(), ++found) << one.name;
    EXPECT_EQ(records.back().agreement, "a");
    EXPECT_EQ(records.back().body["artefact"], "x");
    EXPECT_EQ(records.back().body["content"], m.holdings->find(x)->content);
    EXPECT_EQ(records.back().body["reason"]["code"], one.code);
    EXPECT_EQ(unreadable(*m.holdings).size(), 1U) << one.name;
    EXPECT_EQ(to_read(*m.holdings, AgreementId("a"))->altered.code, one.code);
    // What was put back is readable again, and the log says that too.
    put("blobs/x.blob", blob);
    put("keys/x.key", key);
    ASSERT_TRUE(check());
    EXPECT_EQ(altered(), "") << one.name;
    EXPECT_EQ(m.rig.records("data.intact").size(), found);
  }
}

// Another artefact with a key and bytes of its own, whole in itself.
TEST_F(RecheckerTest, AnotherArtefactInItsPlaceHasAnotherDigest) {
  hold(m, "x", "a", "what was received");
  ASSERT_TRUE(m.run(m.custody->destroy(x)));
  auto forge = [](Custody& custody) -> awaitable<bool> {
    auto writer = co_await custody.begin(x);
    if (!writer || !co_await (*writer)->write(as_bytes("what was put there"))) co_return false;
    if (!co_await (*writer)->finish()) co_return false;
    co_return (co_await custody.publish(x)).has_value();
  };
  ASSERT_TRUE(m.run(forge(*m.custody)));
  ASSERT_TRUE(check());
  EXPECT_EQ(altered(), "custody.digest-differs");
}

TEST_F(RecheckerTest, TheMarkSurvivesARestartAndAWholeOneIsReadInItsPlace) {
  hold(m, "x", "a", "data");
  auto changed = bytes("blobs/x.blob");
  changed.back() ^= 1;
  put("blobs/x.blob", changed);
  ASSERT_TRUE(check());
  power_cycle();
  EXPECT_EQ(altered(), "custody.damaged");
  // Fetched again under the same agreement.
  hold(m, "y", "a", "data");
  EXPECT_EQ(to_read(*m.holdings, AgreementId("a"))->id, ArtefactId("y"));
  EXPECT_TRUE(unreadable(*m.holdings).empty());
}

TEST_F(RecheckerTest, WhatAUseMetIsLookedAt) {
  hold(m, "x", "a", "data");
  auto changed = bytes("blobs/x.blob");
  changed.back() ^= 1;
  put("blobs/x.blob", changed);
  run_checker();
  m.rig.world.run_for(seconds(1));
  EXPECT_EQ(altered(), "");
  checker->suspect(x);
  m.rig.world.run_for(seconds(1));
  EXPECT_EQ(altered(), "custody.damaged");
}

TEST_F(RecheckerTest, NothingIsOrderedOfWhatIsNotHeld) {
  EXPECT_EQ(checker->order(x).error().message.code, "custody.unknown-artefact");
  run_checker();
  hold(m, "x", "a", "data");
  ASSERT_TRUE(checker->order(x));
  m.rig.world.run_for(seconds(1));
  EXPECT_TRUE(m.holdings->find(x)->checked);
}

struct EveryDay : RecheckerTest {
  EveryDay() : RecheckerTest({seconds(86'400), 64 << 10}) {}
};

// By itself: each once a day, at 64 KiB a second, and nobody waits for it.
TEST_F(EveryDay, EachIsLookedAtInItsTimeAndAtItsPace) {
  hold(m, "x", "a", std::string(256 << 10, 'd'));
  run_checker();
  m.rig.world.run_for(seconds(86'000));
  EXPECT_FALSE(m.holdings->find(x)->checked);
  // Begun when the day is over; the read takes four seconds of it.
  Nanos waited = 0;
  while (!checker->state().checking && waited < seconds(900)) {
    m.rig.world.run_for(milliseconds(100));
    waited += milliseconds(100);
  }
  ASSERT_EQ(checker->state().checking, x);
  m.rig.world.run_for(seconds(2));
  EXPECT_EQ(checker->state().checking, x);
  EXPECT_FALSE(m.custody->in_use(x)) << "a check must not hold up a destruction";
  // An artefact of another agreement is read meanwhile, and this one destroyed.
  hold(m, "y", "b", "other data");
  EXPECT_TRUE(m.run(m.custody->open(ArtefactId("y"))));
  m.rig.world.run_for(seconds(3));
  EXPECT_FALSE(checker->state().checking);
  EXPECT_TRUE(m.holdings->find(x)->checked);
}

TEST_F(EveryDay, WhatIsDestroyedWhileItIsLookedAtIsNoFinding) {
  hold(m, "x", "a", std::string(512 << 10, 'd'));
  run_checker();
  m.rig.world.run_for(seconds(86'402));
  ASSERT_EQ(checker->state().checking, x);
  ASSERT_TRUE(m.run(m.custody->destroy(x)));
  m.rig.world.run_for(seconds(20));
  EXPECT_FALSE(checker->state().checking);
  EXPECT_TRUE(m.rig.records("data.altered").empty());
}

}  // namespace
}  // namespace tally::custody
