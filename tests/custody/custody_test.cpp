#include "tally/custody/custody.hpp"

#include <fstream>

#include <gtest/gtest.h>

#include "tally/custody/posix_blob_store.hpp"

#include "custody/machine.hpp"
#include "custody/sealing.hpp"
#include "sim/node.hpp"
#include "sim/sim_blob_store.hpp"
#include "support/run.hpp"
#include "support/temp_dir.hpp"

namespace tally::custody {
namespace {

using test::FixedKey;

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 23);
  return text;
}

awaitable<Result<Sealed>> store(
    Custody& custody, ArtefactId id, std::string text, std::size_t piece
) {
  auto writer = co_await custody.begin(id);
  if (!writer) co_return fail(std::move(writer));
  for (std::size_t at = 0; at < text.size(); at += piece) {
    const auto part = as_bytes(std::string_view(text).substr(at, piece));
    auto written = co_await (*writer)->write(part);
    if (!written) co_return fail(std::move(written));
  }
  co_return co_await (*writer)->finish();
}

awaitable<Result<std::string>> drain(BodyReader& reader, std::size_t piece) {
  std::string text;
  std::vector<std::uint8_t> buffer(piece);
  while (true) {
    auto n = co_await reader.read(buffer);
    if (!n) co_return tl::unexpected(n.error());
    if (*n == 0) co_return text;
    text.append(reinterpret_cast<const char*>(buffer.data()), *n);
  }
}

awaitable<Result<std::string>> load(
    Custody& custody, ArtefactId id, std::uint64_t offset = 0, std::size_t piece = 10'000
) {
  auto opened = co_await custody.open(id, offset);
  if (!opened) co_return fail(std::move(opened));
  co_return co_await drain(*opened->body, piece);
}

std::string code(const Result<std::string>& result) {
  return result ? "read" : result.error().message.code;
}

// On real files, since what lies on the disk is the point here.
class CustodyTest : public ::testing::Test {
 protected:
  void hold(const std::string& id, const std::string& text) {
    const auto sealed = testing::run(store(custody_, ArtefactId(id), text, 30'000));
    ASSERT_TRUE(sealed) << sealed.error().message.code;
    EXPECT_EQ(sealed->content, digest_text(sha256(text)));
    EXPECT_EQ(sealed->bytes, text.size());
    ASSERT_TRUE(testing::run(custody_.publish(ArtefactId(id))));
  }
  Result<std::string> read(const std::string& id, std::uint64_t offset = 0) {
    return testing::run(load(custody_, ArtefactId(id), offset));
  }
  std::size_t files() {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      if (entry.is_regular_file()) ++count;
    }
    return count;
  }

  testing::TempDir folder_;
  std::unique_ptr<BlobStore> blobs_ = open_posix_blob_store(folder_.path()).value();
  FixedKey keys_{7};
  testing::InlineWorker worker_;
  sim::SimRandom random_{1};
  Custody custody_{*blobs_, keys_, worker_, random_};
};

TEST_F(CustodyTest, WhatWasWrittenIsReadFromAnyOffsetAndLiesEncrypted) {
  for (const std::size_t size : {0U, 1U, 1024U, 65535U, 65536U, 65537U, 131072U, 200'000U}) {
    const std::string id = "a" + std::to_string(size);
    const std::string text = pattern(size);
    hold(id, text);
    EXPECT_EQ(read(id), text);
    for (const std::size_t offset : {size / 2, size, size + 5, std::size_t{65536}}) {
      EXPECT_EQ(read(id, offset), offset < size ? text.substr(offset) : "") << offset;
    }
    const std::string raw = testing::read_file(folder_ / ("blobs/" + id + ".blob"));
    if (size >= 1024) EXPECT_EQ(raw.find(text.substr(0, 32)), std::string::npos);
  }
}

TEST_F(CustodyTest, NothingIsVisibleBeforeItIsPublished) {
  const ArtefactId id("x");
  auto writer = testing::run(custody_.begin(id));
  ASSERT_TRUE(writer);
  EXPECT_TRUE(testing::run((*writer)->write(as_bytes("some bytes"))));
  EXPECT_EQ(code(read("x")), "custody.unknown-artefact");
  EXPECT_FALSE(testing::run(custody_.publish(id)));  // not sealed yet
  ASSERT_TRUE(testing::run((*writer)->finish()));
  EXPECT_EQ(code(read("x")), "custody.unknown-artefact");
  EXPECT_TRUE(testing::run(custody_.list())->empty());
  EXPECT_FALSE(*testing::run(custody_.held(id)));
  ASSERT_TRUE(testing::run(custody_.publish(id)));
  ASSERT_TRUE(testing::run(custody_.publish(id)));  // a repeat is nothing
  EXPECT_EQ(read("x"), "some bytes");
  EXPECT_EQ(testing::run(custody_.list())->size(), 1U);
  EXPECT_EQ(testing::run(custody_.begin(id)).error().message.code, "custody.exists");
}

TEST_F(CustodyTest, AbandonedAndDestroyedArtefactsLeaveNoFile) {
  auto writer = testing::run(custody_.begin(ArtefactId("x")));
  ASSERT_TRUE(testing::run((*writer)->write(as_bytes(pattern(100'000)))));
  ASSERT_TRUE(testing::run((*writer)->abandon()));
  EXPECT_FALSE(testing::run((*writer)->write(as_bytes("more"))));
  EXPECT_EQ(files(), 0U);
  hold("x", "text");
  EXPECT_EQ(files(), 2U);
  ASSERT_TRUE(testing::run(custody_.destroy(ArtefactId("x"))));
  ASSERT_TRUE(testing::run(custody_.destroy(ArtefactId("x"))));
  EXPECT_EQ(files(), 0U);
  EXPECT_EQ(code(read("x")), "custody.unknown-artefact");
  EXPECT_FALSE(*testing::run(custody_.key_exists(ArtefactId("x"))));
}

TEST_F(CustodyTest, TheDestructionReachesAReaderThatIsOpen) {
  hold("x", pattern(300'000));
  auto opened = testing::run(custody_.open(ArtefactId("x")));
  ASSERT_TRUE(opened);
  EXPECT_TRUE(custody_.in_use(ArtefactId("x")));
  std::vector<std::uint8_t> piece(1000);
  ASSERT_EQ(testing::run(opened->body->read(piece)), piece.size());
  ASSERT_TRUE(testing::run(custody_.destroy(ArtefactId("x"))));
  const auto next = testing::run(opened->body->read(piece));
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().message.code, "custody.destroyed");
  opened->body.reset();
  EXPECT_FALSE(custody_.in_use(ArtefactId("x")));
}

TEST_F(CustodyTest, EveryFlippedBitIsFound) {
  const std::string text = pattern(1000);
  hold("x", text);
  for (const std::string& name : {"blobs/x.blob", "keys/x.key"}) {
    const std::string good = testing::read_file(folder_ / name);
    for (std::size_t at = 0; at<good.size(); at += good.size()> 200 ? 13 : 1) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 1);
      testing::write_file(folder_ / name, bad);
      const auto result = read("x");
      ASSERT_FALSE(result) << name << " at " << at;
      EXPECT_TRUE(
          code(result) == "custody.damaged" ||
          (name.starts_with("keys") && code(result) == "custody.wrong-key")
      ) << name
        << " at " << at;
    }
    testing::write_file(folder_ / name, good);
  }
  EXPECT_EQ(read("x"), text);
}

TEST_F(CustodyTest, TruncationExtensionAndExchangedChunksAreFoundBeforeAByteIsRead) {
  const std::string text = pattern(200'000);  // four chunks
  hold("x", text);
  hold("y", pattern(200'001));
  const auto file = folder_ / "blobs/x.blob";
  const std::string good = testing::read_file(file);
  const std::string other = testing::read_file(folder_ / "blobs/y.blob");
  const auto expect_damaged = [&](const std::string& bytes, const char* what) {
    testing::write_file(file, bytes);
    EXPECT_EQ(code(read("x")), "custody.damaged") << what;
  };
  expect_damaged(good.substr(0, chunk_offset(3)), "the last chunk is gone");
  expect_damaged(good.substr(0, chunk_offset(1)), "only the first chunk is left");
  expect_damaged(good.substr(0, good.size() - 1), "the last byte is gone");
  expect_damaged(good + "x", "a byte more");
  expect_damaged(good + good.substr(chunk_offset(3)), "the last chunk twice");
  expect_damaged(good.substr(0, 10), "only a piece of the header");
  expect_damaged("", "nothing");
  std::string mixed = good;
  const std::size_t chunk = chunk_bytes + tag_bytes;
  mixed.replace(chunk_offset(1), chunk, good, chunk_offset(2), chunk);
  expect_damaged(mixed, "chunk 2 in the place of chunk 1");
  mixed = good;
  mixed.replace(chunk_offset(1), chunk, other, chunk_offset(1), chunk);
  expect_damaged(mixed, "a chunk of another artefact");
  testing::write_file(file, good);
  EXPECT_EQ(read("x"), text);
}

TEST_F(CustodyTest, DamageInTheMiddleCutsTheStreamAfterWhatIsProven) {
  const std::string text = pattern(200'000);
  hold("x", text);
  std::string bad = testing::read_file(folder_ / "blobs/x.blob");
  bad[chunk_offset(2) + 100] = static_cast<char>(bad[chunk_offset(2) + 100] ^ 1);
  testing::write_file(folder_ / "blobs/x.blob", bad);
  auto opened = testing::run(custody_.open(ArtefactId("x")));
  ASSERT_TRUE(opened);
  std::string got;
  std::vector<std::uint8_t> piece(8192);
  while (true) {
    const auto n = testing::run(opened->body->read(piece));
    if (!n) {
      EXPECT_EQ(n.error().message.code, "custody.damaged");
      break;
    }
    ASSERT_GT(*n, 0U);
    got.append(reinterpret_cast<const char*>(piece.data()), *n);
  }
  EXPECT_EQ(got, text.substr(0, got.size()));
  EXPECT_EQ(got.size(), 2 * chunk_bytes);
}

TEST_F(CustodyTest, TheFilesOfOneArtefactDoNotPassForThoseOfAnother) {
  hold("x", "text of x");
  hold("y", "text of y");
  namespace fs = std::filesystem;
  const auto over = fs::copy_options::overwrite_existing;
  fs::copy_file(folder_ / "blobs/x.blob", folder_ / "blobs/y.blob", over);
  EXPECT_EQ(code(read("y")), "custody.damaged");
  fs::copy_file(folder_ / "keys/x.key", folder_ / "keys/y.key", over);
  EXPECT_EQ(code(read("y")), "custody.damaged");
}

TEST_F(CustodyTest, AnotherWrappingKeyIsCalledByName) {
  hold("x", "text");
  FixedKey other(8);
  Custody elsewhere(*blobs_, other, worker_, random_);
  EXPECT_EQ(code(testing::run(load(elsewhere, ArtefactId("x")))), "custody.wrong-key");
}

TEST_F(CustodyTest, IdsThatAreNoFileNamesAreRefused) {
  for (const char* bad : {"", ".", "..", "../x", "a/b", ".x", "urn:uuid:1", "a b", "名"}) {
    EXPECT_EQ(testing::run(custody_.begin(ArtefactId(bad))).error().message.code, "custody.bad-id");
    EXPECT_FALSE(testing::run(custody_.open(ArtefactId(bad))));
    EXPECT_FALSE(testing::run(custody_.destroy(ArtefactId(bad))));
  }
}

TEST_F(CustodyTest, TheFilesAreForTheOwnerAlone) {
  hold("x", "text");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
    EXPECT_EQ(static_cast<int>(entry.status().permissions()) & 0077, 0) << entry.path();
  }
}

TEST_F(CustodyTest, AStartRemovesHalvesAndKeepsWhatIsSealedAndHeld) {
  hold("held", "text");
  ASSERT_TRUE(testing::run(store(custody_, ArtefactId("sealed"), "text", 10)));
  auto part = testing::run(custody_.begin(ArtefactId("part")));
  ASSERT_TRUE(testing::run((*part)->write(as_bytes("text"))));
  hold("keyless", "text");
  std::filesystem::remove(folder_ / "keys/keyless.key");
  hold("blobless", "text");
  std::filesystem::remove(folder_ / "blobs/blobless.blob");

  Custody restarted(*blobs_, keys_, worker_, random_);
  const auto found = testing::run(restarted.recover());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->incomplete, std::vector<std::string>{"part"});
  EXPECT_EQ(found->shredded, std::vector<std::string>{"keyless"});
  EXPECT_EQ(found->stray_keys, std::vector<std::string>{"blobless"});
  EXPECT_EQ(files(), 4U);
  EXPECT_EQ(testing::run(load(restarted, ArtefactId("held"))), "text");
  ASSERT_TRUE(testing::run(restarted.publish(ArtefactId("sealed"))));
  EXPECT_EQ(testing::run(load(restarted, ArtefactId("sealed"))), "text");
}

// The bytes of the key file have to be overwritten where they lie before the name goes: a hard link
// to it, as a backup tool may have made one, shows what is left.
TEST_F(CustodyTest, TheKeyIsOverwrittenBeforeItIsRemoved) {
  hold("x", "text");
  std::filesystem::create_hard_link(folder_ / "keys/x.key", folder_ / "copy");
  ASSERT_TRUE(testing::run(custody_.destroy(ArtefactId("x"))));
  const std::string left = testing::read_file(folder_ / "copy");
  EXPECT_EQ(left, std::string(left.size(), '\0'));
  EXPECT_GT(left.size(), 32U);
}

// What somebody else put there, or opened to others, is refused by its name, whoever owns the
// folder.
TEST_F(CustodyTest, FilesThatNobodyHereMadeSoAreRefusedByName) {
  namespace fs = std::filesystem;
  hold("x", "text");
  const auto refused = [this](const std::string& file, const std::string& why) {
    const auto read = this->read("x");
    ASSERT_FALSE(read) << why;
    EXPECT_EQ(read.error().message.code, "custody.file-foreign");
    EXPECT_EQ(read.error().message.params.at("file"), file);
    EXPECT_EQ(read.error().message.params.at("why"), why);
  };
  for (const std::string file : {"keys/x.key", "blobs/x.blob"}) {
    const auto path = folder_ / file;
    fs::permissions(path, fs::perms::group_read, fs::perm_options::add);
    refused(file, "mode");
    fs::permissions(path, fs::perms::group_read, fs::perm_options::remove);
    EXPECT_EQ(code(read("x")), "read");
    fs::create_hard_link(path, folder_ / "copy");
    refused(file, "hard-link");
    fs::remove(folder_ / "copy");
    fs::rename(path, folder_ / "elsewhere");
    fs::create_symlink(folder_ / "elsewhere", path);
    refused(file, "symbolic-link");
    fs::remove(path);
    fs::create_directory(path);
    refused(file, "not-a-file");
    fs::remove(path);
    fs::rename(folder_ / "elsewhere", path);
    EXPECT_EQ(code(read("x")), "read");
  }
  for (const char* below : {"keys", "blobs"}) {
    fs::permissions(folder_ / below, fs::perms::others_exec, fs::perm_options::add);
    const auto opened = open_posix_blob_store(folder_.path());
    ASSERT_FALSE(opened) << below;
    EXPECT_EQ(opened.error().message.code, "custody.file-foreign");
    fs::permissions(folder_ / below, fs::perms::others_exec, fs::perm_options::remove);
  }
  EXPECT_TRUE(open_posix_blob_store(folder_.path()));
}

// --- power cuts, on a disk that forgets ---

struct Machine {
  explicit Machine(std::uint64_t seed) : world(seed), disk(world) { boot(); }
  void boot() {
    custody.reset();
    blobs.reset();
    node.reset();
    node = std::make_unique<sim::Node>(world, "consumer");
    blobs = std::make_unique<sim::SimBlobStore>(disk);
    custody = std::make_unique<Custody>(*blobs, keys, node->worker(), node->random());
  }
  void power_cycle() {
    disk.cut_power();
    node->power_off();
    boot();
    disk.power_on();
  }
  template <class T>
  T run(awaitable<T> task) {
    return sim::await(*node, std::move(task));
  }

  sim::World world;
  sim::SimDisk disk;
  FixedKey keys{7};
  std::unique_ptr<sim::Node> node;
  std::unique_ptr<sim::SimBlobStore> blobs;
  std::unique_ptr<Custody> custody;
};

awaitable<void> live(Custody& custody, std::string text, std::vector<std::string>& reached) {
  const ArtefactId id("x");
  if (!co_await store(custody, id, text, 50'000)) co_return;
  reached.emplace_back("sealed");
  if (!co_await custody.publish(id)) co_return;
  reached.emplace_back("held");
  if (!co_await custody.destroy(id)) co_return;
  reached.emplace_back("destroyed");
}

// The power goes at every event of an artefact's life in turn. Whatever was acknowledged holds;
// nothing half is ever visible.
TEST(CustodyPower, ACutAtAnyMomentLeavesNoHalfArtefactAndNoDestroyedOne) {
  const std::string text = pattern(150'000);
  int held_seen = 0;
  int gone_seen = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    for (int cut_after = 0; cut_after < 60; ++cut_after) {
      Machine machine(seed * 1000 + static_cast<std::uint64_t>(cut_after));
      std::vector<std::string> reached;
      boost::asio::co_spawn(
          machine.node->executor(), live(*machine.custody, text, reached), [](std::exception_ptr) {}
      );
      for (int i = 0; i < cut_after && machine.world.step(); ++i) {
      }
      const std::vector<std::string> acknowledged = reached;
      machine.power_cycle();
      ASSERT_TRUE(machine.run(machine.custody->recover())) << machine.world.where();
      const auto read = machine.run(load(*machine.custody, ArtefactId("x")));
      const std::string last = acknowledged.empty() ? "" : acknowledged.back();
      if (read) {
        EXPECT_EQ(*read, text) << machine.world.where();
        ++held_seen;
      } else {
        EXPECT_EQ(code(read), "custody.unknown-artefact") << machine.world.where();
      }
      if (last == "destroyed") {
        EXPECT_FALSE(read) << machine.world.where();
        EXPECT_FALSE(*machine.run(machine.custody->key_exists(ArtefactId("x"))));
        ++gone_seen;
      }
      if (last == "sealed") {
        EXPECT_TRUE(machine.run(machine.custody->publish(ArtefactId("x"))));
        EXPECT_EQ(machine.run(load(*machine.custody, ArtefactId("x"))), text);
      }
    }
  }
  EXPECT_GT(held_seen, 0);
  EXPECT_GT(gone_seen, 0);
}

TEST(CustodyFaults, EveryFailingWriteOrSyncIsAnErrorAndLeavesNothingVisible) {
  const std::string text = pattern(150'000);
  for (const bool sync : {false, true}) {
    int failures = 0;
    for (std::uint64_t nth = 1; nth < 12; ++nth) {
      Machine machine(nth);
      if (sync) {
        machine.disk.fail_sync(nth);
      } else {
        machine.disk.fail_write(nth);
      }
      const auto sealed = machine.run(store(*machine.custody, ArtefactId("x"), text, 50'000));
      machine.disk.mend();
      if (sealed) continue;
      ++failures;
      EXPECT_EQ(sealed.error().kind, ErrorKind::unavailable);
      EXPECT_FALSE(machine.run(load(*machine.custody, ArtefactId("x"))));
      EXPECT_TRUE(machine.run(machine.custody->destroy(ArtefactId("x"))));
      EXPECT_FALSE(machine.run(machine.custody->publish(ArtefactId("x"))));
      EXPECT_TRUE(machine.run(store(*machine.custody, ArtefactId("x"), text, 50'000)));
    }
    EXPECT_GT(failures, 0);
  }
}

TEST(CustodyFaults, ADestructionThatCouldNotBeMadeDurableSaysSo) {
  for (const bool sync : {false, true}) {
    Machine machine(9);
    ASSERT_TRUE(machine.run(store(*machine.custody, ArtefactId("x"), "text", 50'000)));
    ASSERT_TRUE(machine.run(machine.custody->publish(ArtefactId("x"))));
    if (sync) {
      machine.disk.fail_sync(1);
    } else {
      machine.disk.fail_write(1);
    }
    EXPECT_FALSE(machine.run(machine.custody->destroy(ArtefactId("x"))));
    machine.disk.mend();
    EXPECT_TRUE(machine.run(machine.custody->destroy(ArtefactId("x"))));
    EXPECT_FALSE(machine.run(load(*machine.custody, ArtefactId("x"))));
  }
}

}  // namespace
}  // namespace tally::custody
