#include "tally/custody/kept_data_keys.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "custody/machine.hpp"

namespace tally::custody {
namespace {

const Pid first("urn:uuid:01234567-89ab-4def-8123-456789abcdef");
const Pid second("urn:uuid:11234567-89ab-4def-8123-456789abcdef");

// A provider's machine whose power may go at any write.
struct Desk {
  explicit Desk(std::uint64_t seed = 1) : world(seed), disk(world) { open(); }
  void open() {
    node = std::make_unique<sim::Node>(world, "desk");
    files = std::make_unique<sim::SimBlobStore>(disk, "payload-keys");
    keys = std::make_unique<KeptDataKeys>(*files, wrapping, node->worker(), node->random());
    ASSERT_TRUE(keys->load());
  }
  void power_cycle() {
    disk.cut_power();
    keys.reset();
    files.reset();
    node.reset();
    disk.power_on();
    disk.mend();
    open();
  }
  Result<transfer::DataKey> key(const Pid& pid, const std::string& version) {
    return sim::await(*node, keys->key_for(pid, version));
  }
  Result<transfer::DataKey> find(const Pid& pid) { return sim::await(*node, keys->find(pid)); }

  sim::World world;
  sim::SimDisk disk;
  test::FixedKey wrapping;
  std::unique_ptr<sim::Node> node;
  std::unique_ptr<sim::SimBlobStore> files;
  std::unique_ptr<KeptDataKeys> keys;
};

TEST(KeptDataKeys, AreOneForEachTransferAndVersionAndSurviveARestart) {
  Desk desk;
  const auto key = desk.key(first, "v1").value();
  EXPECT_EQ(desk.key(first, "v1")->bytes, key.bytes);
  EXPECT_NE(desk.key(second, "v1")->bytes, key.bytes);
  desk.power_cycle();
  EXPECT_TRUE(desk.keys->holds(first));
  EXPECT_EQ(desk.find(first)->bytes, key.bytes);
  EXPECT_EQ(desk.key(first, "v1")->bytes, key.bytes);
}

TEST(KeptDataKeys, AnotherVersionHasAnotherKeyAndTheOldOneIsGone) {
  Desk desk;
  const auto old = desk.key(first, "v1").value();
  const auto fresh = desk.key(first, "v2").value();
  EXPECT_NE(old.bytes, fresh.bytes);
  EXPECT_EQ(desk.find(first)->bytes, fresh.bytes);
  // Not the old one either when the source is what it was.
  EXPECT_NE(desk.key(first, "v1")->bytes, old.bytes);
}

TEST(KeptDataKeys, DestroyedIsGoneForGood) {
  Desk desk;
  ASSERT_TRUE(desk.key(first, "v1"));
  ASSERT_TRUE(sim::await(*desk.node, desk.keys->destroy(first)));
  ASSERT_TRUE(sim::await(*desk.node, desk.keys->destroy(first)));
  EXPECT_FALSE(desk.keys->holds(first));
  EXPECT_EQ(desk.find(first).error().message.code, "transfer.key-gone");
  desk.power_cycle();
  EXPECT_FALSE(desk.keys->holds(first));
  EXPECT_TRUE(desk.disk.list("payload-keys/keys").empty());
}

TEST(KeptDataKeys, LieWrappedAndOpenAtTheirOwnPlaceOnly) {
  Desk desk;
  const auto key = desk.key(first, "v1").value();
  const auto names = desk.disk.list("payload-keys/keys");
  ASSERT_EQ(names.size(), 1U);
  const auto bytes = desk.disk.contents("payload-keys/keys/" + names.front()).value();
  EXPECT_EQ(
      std::search(bytes.begin(), bytes.end(), key.bytes.begin(), key.bytes.end()), bytes.end()
  );
  // Under another transfer's name it is none.
  ASSERT_TRUE(
      desk.files->rename("keys/" + names.front(), "keys/11234567-89ab-4def-8123-456789abcdef.key")
  );
  EXPECT_EQ(desk.find(second).error().message.code, "custody.damaged");
}

// Whoever was given a key before a power cut is given the same one after it, wherever the power
// goes in the next write.
TEST(KeptDataKeys, WhatWasGivenSurvivesAPowerCutAtAnyWrite) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Desk desk(seed);
    const auto given = desk.key(first, "v1").value();
    if (seed % 2 == 0) {
      desk.disk.fail_write(1 + seed / 2 % 4, true);
    } else {
      desk.disk.fail_sync(1 + seed / 2 % 8, true);
    }
    (void)desk.key(second, "v1");
    desk.power_cycle();
    ASSERT_TRUE(desk.find(first)) << seed;
    EXPECT_EQ(desk.find(first)->bytes, given.bytes) << seed;
    EXPECT_TRUE(desk.key(second, "v1")) << seed;
    for (const auto& name : desk.disk.list("payload-keys/keys")) {
      EXPECT_TRUE(name.ends_with(".key")) << name;
    }
  }
}

}  // namespace
}  // namespace tally::custody
