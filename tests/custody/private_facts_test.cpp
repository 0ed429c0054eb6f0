#include "tally/custody/private_facts.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "custody/machine.hpp"

namespace tally::custody {
namespace {

constexpr const char* alice = "staff/alice-4711";
constexpr const char* fact = R"({"subject":"staff/alice-4711","ward":"oncology"})";

// A machine whose power may go at any write.
struct Desk {
  explicit Desk(std::uint64_t seed = 1) : world(seed), disk(world), node(world, "desk") { open(); }
  void open() {
    files = std::make_unique<sim::SimBlobStore>(disk, "private");
    facts = std::make_unique<PrivateFacts>(*files, keys, node.random());
  }
  void power_cycle() {
    disk.cut_power();
    disk.power_on();
    disk.mend();
    open();
    ASSERT_TRUE(facts->recover());
  }
  // Every byte that the folder holds, names and all.
  std::string everything() {
    std::string all;
    for (const char* folder : {"private/keys", "private/blobs"}) {
      for (const auto& name : disk.list(folder)) {
        all += name + "\n";
        const auto bytes = disk.contents(std::string(folder) + "/" + name);
        if (bytes) all.append(bytes->begin(), bytes->end());
      }
    }
    return all;
  }
  void expect_all_open(std::uint64_t step) {
    const auto all = facts->list().value();
    for (const auto& one : all) EXPECT_TRUE(facts->open(one)) << step;
  }
  std::size_t count() { return facts->list().value().size(); }

  sim::World world;
  sim::SimDisk disk;
  sim::Node node;
  test::FixedKey keys;
  std::unique_ptr<sim::SimBlobStore> files;
  std::unique_ptr<PrivateFacts> facts;
};

TEST(PrivateFacts, OpenToWhatWasKeptAndTheCommitmentFits) {
  Desk desk;
  const auto kept = desk.facts->keep(alice, fact);
  ASSERT_TRUE(kept) << render(kept.error().message, Lang::en);
  const auto opened = desk.facts->open(*kept);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->fact, fact);
  EXPECT_EQ(opened->salt.size(), 32U);
  EXPECT_EQ(audit::commitment_to(opened->salt, fact), *kept);
  // The same again is another commitment: who has one cannot look for the other.
  EXPECT_NE(desk.facts->keep(alice, fact).value(), *kept);
  EXPECT_EQ(desk.facts->about(alice).value().size(), 2U);
  EXPECT_TRUE(desk.facts->about("staff/bob").value().empty());
}

TEST(PrivateFacts, LieInTheFolderUnreadableAndUnnamed) {
  Desk desk;
  ASSERT_TRUE(desk.facts->keep(alice, fact));
  for (const char* word : {"alice", "4711", "oncology", "subject\""}) {
    EXPECT_EQ(desk.everything().find(word), std::string::npos) << word;
  }
}

TEST(PrivateFacts, AreGoneWithKeySaltAndBytesOnceDestroyed) {
  Desk desk;
  const auto kept = desk.facts->keep(alice, fact).value();
  const auto opened = desk.facts->open(kept).value();
  const auto other = desk.facts->keep("staff/bob", fact).value();
  ASSERT_TRUE(desk.facts->destroy(kept));
  EXPECT_EQ(desk.facts->open(kept).error().kind, ErrorKind::not_found);
  EXPECT_EQ(desk.everything().find(to_hex(kept)), std::string::npos);
  const std::string salt(opened.salt.begin(), opened.salt.end());
  EXPECT_EQ(desk.everything().find(salt), std::string::npos);
  // Who knows every fact there could be still cannot tell which one it was.
  EXPECT_NE(audit::commitment_to({}, fact), kept);
  EXPECT_NE(audit::commitment_to(Bytes(32, 0), fact), kept);
  EXPECT_TRUE(desk.facts->open(other));
  EXPECT_TRUE(desk.facts->destroy(kept));  // again is nothing
}

TEST(PrivateFacts, OfOnePersonGoTogether) {
  Desk desk;
  const auto one = desk.facts->keep(alice, fact).value();
  const auto two = desk.facts->keep(alice, fact).value();
  const auto other = desk.facts->keep("staff/bob", fact).value();
  ASSERT_TRUE(desk.facts->destroy_subject(alice));
  EXPECT_FALSE(desk.facts->open(one));
  EXPECT_FALSE(desk.facts->open(two));
  EXPECT_TRUE(desk.facts->open(other));
  EXPECT_TRUE(desk.facts->keep(alice, fact));  // and a new key for who comes back
}

TEST(PrivateFacts, AreRefusedWhenTheyAreWithoutMeasure) {
  Desk desk;
  EXPECT_EQ(desk.facts->keep("", fact).error().kind, ErrorKind::invalid);
  EXPECT_EQ(desk.facts->keep(std::string(257, 'a'), fact).error().kind, ErrorKind::invalid);
  EXPECT_EQ(desk.facts->keep(alice, std::string(4097, 'a')).error().kind, ErrorKind::invalid);
  EXPECT_EQ(desk.count(), 0U);
}

TEST(PrivateFacts, SayWhenSomebodyChangedThem) {
  Desk desk;
  const auto kept = desk.facts->keep(alice, fact).value();
  const std::string path = "private/blobs/" + to_hex(kept) + ".fact";
  auto bytes = desk.disk.contents(path).value();
  bytes.back() ^= 1;
  desk.disk.overwrite(path, bytes);
  EXPECT_EQ(desk.facts->open(kept).error().message.code, "custody.damaged");
}

// The power goes at each write and each sync of keeping and of destroying.
TEST(PrivateFacts, AreWholeOrNotThereAfterAnyCut) {
  for (std::uint64_t step = 1; step < 40; ++step) {
    for (const bool at_sync : {false, true}) {
      Desk desk(step);
      const auto first = desk.facts->keep(alice, fact).value();
      const auto fail = [&] {
        at_sync ? desk.disk.fail_sync(step, true) : desk.disk.fail_write(step, true);
      };
      fail();
      const auto second = desk.facts->keep(alice, fact);
      desk.power_cycle();
      EXPECT_TRUE(desk.facts->open(first)) << step;
      if (second) {
        EXPECT_TRUE(desk.facts->open(*second)) << step;
      }
      desk.expect_all_open(step);

      fail();
      const auto destroyed = desk.facts->destroy(first);
      desk.power_cycle();
      if (destroyed) {
        EXPECT_FALSE(desk.facts->open(first)) << step;
      }
      desk.expect_all_open(step);
      EXPECT_TRUE(desk.facts->keep(alice, fact)) << step;
    }
  }
}

}  // namespace
}  // namespace tally::custody
