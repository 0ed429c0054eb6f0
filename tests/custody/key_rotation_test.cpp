#include "tally/custody/key_rotation.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/core/aead.hpp"
#include "tally/custody/kept_data_keys.hpp"
#include "tally/custody/private_facts.hpp"

#include "custody/keyed_hash.hpp"
#include "custody/machine.hpp"
#include "custody/rewrap.hpp"

namespace tally::custody {
namespace {

using test::FixedKey;
using test::Machine;

constexpr const char* alice = "staff/alice-4711";
const Pid transfer_pid("urn:uuid:01234567-89ab-4def-8123-456789abcdef");

TEST(KeyedHash, GivesTheHmacsOfAKeyThatItDoesNotKeep) {
  for (const std::size_t size : {0U, 1U, 55U, 56U, 63U, 64U, 65U, 200U}) {
    const Bytes key(32, static_cast<std::uint8_t>(size + 1));
    const std::string message(size, 'm');
    const KeyedHash hash(key);
    EXPECT_EQ(hash.of(as_bytes(message)), hmac_sha256(key, as_bytes(message))) << size;
    EXPECT_EQ(KeyedHash(hash.state()).of(as_bytes(message)), hash.of(as_bytes(message))) << size;
    EXPECT_EQ(
        std::search(hash.state().begin(), hash.state().end(), key.begin(), key.begin() + 8),
        hash.state().end()
    );
  }
}

// A ring in memory, which survives what happens to the machine.
class MemoryRing final : public RingStorage {
 public:
  explicit MemoryRing(std::string& text) : text_(text) {}
  [[nodiscard]] std::string place() const override { return "ring"; }
  Result<std::string> read() override { return text_; }
  Result<void> replace(std::string_view text) override {
    text_ = text;
    return {};
  }
  Result<void> settle() override { return {}; }

 private:
  std::string& text_;
};

// Every folder with wrapped keys on one disk that forgets, under one ring.
struct Desk {
  explicit Desk(std::uint64_t seed) : machine(seed) {
    machine.start();
    ring = KeyRing::open(std::make_unique<MemoryRing>(text)).value();
    open();
  }
  void open() {
    auto& node = *machine.rig.node;
    blobs = std::make_unique<sim::SimBlobStore>(machine.rig.disk, "held");
    custody = std::make_unique<Custody>(*blobs, *ring, node.worker(), node.random());
    payload_files = std::make_unique<sim::SimBlobStore>(machine.rig.disk, "payload-keys");
    payload = std::make_unique<KeptDataKeys>(*payload_files, *ring, node.worker(), node.random());
    fact_files = std::make_unique<sim::SimBlobStore>(machine.rig.disk, "private");
    facts = std::make_unique<PrivateFacts>(*fact_files, *ring, node.random());
    rotation = std::make_unique<KeyRotation>(KeyRotationParts{
        *ring,
        {custody.get(), payload.get(), facts.get()},
        *machine.rig.log,
        node.clock(),
        node.timers(),
        node.worker(),
        node.random(),
        node.notices()});
  }
  void close() {
    rotation.reset();
    facts.reset();
    payload.reset();
    custody.reset();
  }
  // As a crash leaves it, and as the daemon starts again.
  void power_cycle() {
    machine.rig.disk.cut_power();
    machine.rig.node->power_off();
    close();
    machine.off();
    machine.start();
    ring = KeyRing::open(std::make_unique<MemoryRing>(text)).value();
    open();
    ASSERT_TRUE(check_ring(*ring, machine.records));
    ASSERT_TRUE(facts->recover());
    ASSERT_TRUE(payload->load());
    ASSERT_TRUE(machine.run(rotation->start(machine.records)));
    ASSERT_TRUE(machine.run(custody->recover()));
  }
  void fill() {
    auto hold = [](Custody& into, std::string name) -> awaitable<Result<void>> {
      auto writer = co_await into.begin(ArtefactId(name));
      if (!writer) co_return fail(std::move(writer));
      auto written = co_await (*writer)->write(as_bytes(name));
      if (!written) co_return written;
      auto sealed = co_await (*writer)->finish();
      if (!sealed) co_return fail(std::move(sealed));
      co_return co_await into.publish(ArtefactId(name));
    };
    for (const char* name : {"one", "two"}) ASSERT_TRUE(machine.run(hold(*custody, name)));
    key = machine.run(payload->key_for(transfer_pid, "v1")).value();
    commitment = facts->keep(alice, "{}").value();
  }
  void expect_all_there(const std::string& where) {
    for (const char* name : {"one", "two"}) {
      auto opened = machine.run(custody->open(ArtefactId(name)));
      EXPECT_TRUE(opened) << where << ": " << (opened ? "" : opened.error().message.code);
    }
    const auto found = machine.run(payload->find(transfer_pid));
    ASSERT_TRUE(found) << where << ": " << found.error().message.code;
    EXPECT_EQ(found->bytes, key.bytes) << where;
    EXPECT_TRUE(facts->open(commitment)) << where;
    EXPECT_EQ(facts->about(alice).value(), std::vector<Digest>{commitment}) << where;
  }
  // Files that say the name of the key, wherever they lie.
  std::size_t under(const KeyName& name) {
    std::size_t count = 0;
    for (const char* folder : {"held/keys", "payload-keys/keys", "private/keys"}) {
      for (const auto& file : machine.rig.disk.list(folder)) {
        const auto bytes = machine.rig.disk.contents(std::string(folder) + "/" + file).value();
        count += std::search(bytes.begin(), bytes.end(), name.begin(), name.end()) != bytes.end();
      }
    }
    return count;
  }
  void run_rotation() {
    boost::asio::co_spawn(machine.rig.node->executor(), rotation->run(), [](std::exception_ptr) {});
  }

  Machine machine;
  std::string text = "tally-custody-key/1 qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n";
  std::unique_ptr<KeyRing> ring;
  std::unique_ptr<sim::SimBlobStore> blobs, payload_files, fact_files;
  std::unique_ptr<Custody> custody;
  std::unique_ptr<KeptDataKeys> payload;
  std::unique_ptr<PrivateFacts> facts;
  std::unique_ptr<KeyRotation> rotation;
  transfer::DataKey key;
  Digest commitment{};
};

TEST(KeyRotation, WrapsEverythingAnewRecordsThatAndDestroysTheKeyBefore) {
  Desk desk(1);
  desk.fill();
  const auto before = desk.ring->keys().front().name;
  EXPECT_EQ(desk.under(before), 5U);  // two artefacts, a payload, a person and the persons' names
  desk.run_rotation();
  const auto made = desk.machine.run(desk.rotation->begin());
  ASSERT_TRUE(made);
  desk.machine.rig.world.run_for(seconds(5));
  EXPECT_FALSE(desk.rotation->is_unfinished());
  EXPECT_EQ(desk.under(before), 0U);
  EXPECT_EQ(desk.under(*made), 5U);
  EXPECT_EQ(desk.text.find("qqqqqq"), std::string::npos);
  const auto records = desk.machine.rig.records("wrapping.rotated");
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].body["key"], to_text(*made));
  EXPECT_EQ(records[0].body["before"], to_text(before));
  EXPECT_EQ(records[0].body["rewrapped"], 5);
  EXPECT_EQ(records[0].body["unopened"], Json::array());
  desk.expect_all_there("rotated");
  // And once more, from a ring that is no longer of the first format.
  const auto again = desk.machine.run(desk.rotation->begin());
  ASSERT_TRUE(again);
  desk.machine.rig.world.run_for(seconds(5));
  desk.expect_all_there("rotated twice");
  EXPECT_EQ(desk.under(*again), 5U);
}

TEST(KeyRotation, OneAtATimeAndWhatDoesNotOpenIsNamedAndStopsNothing) {
  Desk desk(1);
  desk.fill();
  auto bytes = desk.machine.rig.disk.contents("held/keys/one.key").value();
  bytes.back() ^= 1;
  desk.machine.rig.disk.overwrite("held/keys/one.key", bytes);
  ASSERT_TRUE(desk.machine.run(desk.rotation->begin()));
  EXPECT_EQ(desk.machine.run(desk.rotation->begin()).error().message.code, "custody.rotating");
  desk.run_rotation();
  desk.machine.rig.world.run_for(seconds(5));
  EXPECT_FALSE(desk.rotation->is_unfinished());
  const auto records = desk.machine.rig.records("wrapping.rotated");
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].body["unopened"], Json::array({"one.key"}));
  EXPECT_TRUE(desk.machine.run(desk.custody->open(ArtefactId("two"))));
}

// What is made while a rotation runs lies under the new key; what was destroyed stays so.
TEST(KeyRotation, MeetsWhatIsMadeAndDestroyedMeanwhile) {
  Desk desk(3);
  desk.fill();
  const auto before = desk.ring->keys().front().name;
  ASSERT_TRUE(desk.machine.run(desk.rotation->begin()));
  ASSERT_TRUE(desk.machine.run(desk.custody->begin(ArtefactId("three"))));
  ASSERT_TRUE(desk.machine.run(desk.custody->destroy(ArtefactId("two"))));
  EXPECT_EQ(desk.custody->rewrap("two.key").value(), Rewrapped::gone);
  desk.run_rotation();
  desk.machine.rig.world.run_for(seconds(5));
  EXPECT_EQ(desk.under(before), 0U);
  EXPECT_FALSE(desk.machine.run(desk.custody->key_exists(ArtefactId("two"))).value());
}

// The power goes at every event of a rotation in turn. Nothing is lost, and the next start finishes
// it; once it is recorded the key before is gone.
TEST(KeyRotation, IsFinishedAfterACutAtAnyMoment) {
  int cut_before_record = 0;
  int cut_after_record = 0;
  for (std::uint64_t run = 0; run < 60; ++run) {
    Desk desk(1 + run);
    desk.fill();
    const auto before = desk.ring->keys().front().name;
    ASSERT_TRUE(desk.machine.run(desk.rotation->begin()));
    desk.run_rotation();
    for (std::uint64_t i = 0; i < run && desk.rotation->is_unfinished(); ++i) {
      desk.machine.rig.world.step();
    }
    desk.power_cycle();
    const bool recorded = !desk.machine.rig.records("wrapping.rotated").empty();
    ++(recorded ? cut_after_record : cut_before_record);
    const std::string where = desk.machine.rig.world.where();
    if (recorded) {
      EXPECT_EQ(desk.ring->keys().size(), 1U) << where;
    }
    desk.expect_all_there(where);
    desk.run_rotation();
    desk.machine.rig.world.run_for(seconds(70));
    EXPECT_FALSE(desk.rotation->is_unfinished()) << where;
    EXPECT_EQ(desk.under(before), 0U) << where;
    EXPECT_EQ(desk.machine.rig.records("wrapping.rotated").size(), 1U) << where;
    desk.expect_all_there(where);
    for (const auto& file : desk.machine.rig.disk.list("held/keys")) {
      EXPECT_TRUE(file.ends_with(".key")) << where << ": " << file;
    }
  }
  EXPECT_GT(cut_before_record, 5);
  EXPECT_GT(cut_after_record, 5);
}

// The disk fails at each write and each sync of wrapping one key anew, then the power goes.
TEST(Rewrap, LeavesTheKeyWholeUnderOneOfTheTwoWhereverTheDiskFails) {
  for (std::uint64_t nth = 1; nth < 16; ++nth) {
    for (const bool at_sync : {false, true}) {
      Desk desk(nth);
      desk.fill();
      ASSERT_TRUE(desk.machine.run(desk.rotation->begin()));
      auto& disk = desk.machine.rig.disk;
      at_sync ? disk.fail_sync(nth, true) : disk.fail_write(nth, true);
      (void)desk.custody->rewrap("one.key");
      (void)desk.payload->rewrap("01234567-89ab-4def-8123-456789abcdef.key");
      (void)desk.facts->rewrap("names.key");
      disk.mend();
      desk.power_cycle();
      desk.expect_all_there(desk.machine.rig.world.where());
    }
  }
}

// --- what the log says of the ring ---

TEST(KeyRotation, AnOlderRingIsRefusedAndAKeyThatWasReplacedIsDestroyedAgain) {
  Desk desk(1);
  desk.fill();
  const std::string first = desk.text;
  ASSERT_TRUE(desk.machine.run(desk.rotation->begin()));
  const std::string both = desk.text;
  desk.run_rotation();
  desk.machine.rig.world.run_for(seconds(5));
  const std::string newest = desk.text;

  CustodyRecords records;
  auto reader = desk.machine.rig.reader();
  const auto see = [&](const audit::RecordView& record) { (void)records.replay(record); };
  ASSERT_TRUE(audit::for_each_record(*reader, 0, see));
  const auto ring_of = [](std::string& text) {
    return KeyRing::open(std::make_unique<MemoryRing>(text)).value();
  };
  std::string older = first;
  EXPECT_EQ(check_ring(*ring_of(older), records).error().message.code, "custody.ring-older");
  EXPECT_TRUE(check_ring(*desk.ring, records));
  EXPECT_TRUE(check_ring(*ring_of(older), CustodyRecords())) << "a log that knows of no rotation";

  // A copy from the middle of the rotation: the key before comes back, and goes again.
  desk.text = both;
  desk.power_cycle();
  EXPECT_EQ(desk.text, newest);
  desk.expect_all_there("again");

  // What a snapshot keeps says the same.
  CustodyRecords restored;
  records.save([&](const Json& item) { ASSERT_TRUE(restored.restore(item)); });
  EXPECT_EQ(restored.current_key(), records.current_key());
  EXPECT_FALSE(restored.current_key().empty());
  older = first;
  EXPECT_FALSE(check_ring(*ring_of(older), restored));
  EXPECT_FALSE(CustodyRecords().restore({{"other", 1}}));
}

}  // namespace
}  // namespace tally::custody
