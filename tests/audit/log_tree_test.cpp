// The tree of a running log: side files, checkpoints, proofs and tiles, over power cuts and damage.
#include "tally/audit/log_tree.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "tally/audit/posix.hpp"

#include "audit/flat_levels.hpp"
#include "audit/known_keys.hpp"
#include "audit/log_fixture.hpp"
#include "log_format.hpp"
#include "support/temp_dir.hpp"

namespace tally::audit {
namespace {

class LogTreeTest : public LogTest {
 protected:
  int signatures = 0;

  static VerifierKey key() { return key_of("clinic.example/log/1", log_seed); }

  void create_signed() {
    Genesis genesis = test_genesis();
    genesis.vkey = key().text();
    const auto storage = open_log(disk);
    ASSERT_TRUE(create_log(*storage, genesis, clock, random));
  }
  LogTree& tree_of(LogLife& life) {
    life.writer->tree().sign_with(key(), [this](std::span<const std::uint8_t> bytes) {
      ++signatures;
      return ed25519_sign(*from_hex(log_seed), bytes);
    });
    return life.writer->tree();
  }
  // Up to `size` records, in batches of many sizes.
  void grow(LogLife& life, std::size_t size) {
    std::size_t batch = 1;
    while (life.writer->mark().size < size) {
      const std::size_t left = size - life.writer->mark().size;
      for (std::size_t i = 0; i < std::min(batch, left); ++i) {
        life.enqueue("use.permitted", "urn:a:1");
      }
      ASSERT_TRUE(life.writer->commit_batch());
      ASSERT_FALSE(life.writer->failed());
      batch = batch * 3 % 101 + 1;
    }
  }
  // What the records say, by the flat files of another test.
  FlatLevels expected(std::vector<std::string>* texts = nullptr) {
    FlatLevels flat;
    const auto storage = open_log(disk);
    EXPECT_TRUE(for_each_record(*storage, 0, [&](const RecordView& record) {
      flat.add(record.text);
      if (texts != nullptr) texts->emplace_back(record.text);
    }));
    return flat;
  }
  Bytes side_file(unsigned level) {
    return disk.contents("log/" + level_file(level)).value_or(Bytes());
  }
  std::string refused(const LogMark& mark = {}) {
    LogLife life = live(mark);
    return life.error ? life.error->message.code : std::string();
  }
};

TEST_F(LogTreeTest, SideFilesHoldEveryTileLevel) {
  create_signed();
  LogLife life = live();
  grow(life, 70'000);
  ASSERT_TRUE(life.writer->close());
  const FlatLevels flat = expected();
  ASSERT_EQ(flat.frontier.size(), 70'000U);
  for (unsigned level = 0; level < 3; ++level) {
    EXPECT_EQ(side_file(level), flat.levels[level]) << level;
  }
  EXPECT_FALSE(disk.contents("log/L3"));
  EXPECT_EQ(verify().verdict, Verdict::whole) << describe(verify());
  EXPECT_EQ(verify().root, to_hex(flat.frontier.root()));
}

// What a running log keeps of its tiles makes the same proofs as the files do anew, and hides
// nothing that happens to the files from a verifier.
TEST_F(LogTreeTest, ProofsAreTheSameFromWhatIsKept) {
  create_signed();
  LogLife life = live();
  const auto anew = [this](std::uint64_t index, std::uint64_t size) {
    const FlatLevels flat = expected();
    const LevelHashes source = flat.source();
    return *make_inclusion_proof(index, size, stored_in_tiles(source));
  };
  for (const std::size_t size : {300U, 301U, 700U, 1'500U}) {
    grow(life, size);
    const LogTree& tree = life.writer->tree();
    for (const std::uint64_t index : {0U, 1U, 255U, 256U, 299U}) {
      for (int again = 0; again < 2; ++again) {
        EXPECT_EQ(*tree.inclusion_proof(index, size), anew(index, size)) << size << " " << index;
      }
    }
  }
  ASSERT_TRUE(life.writer->close());
  const LogTree& tree = life.writer->tree();
  const Proof before = *tree.inclusion_proof(100, 1'500);
  Files files = files_of(disk);
  files.at(level_file(0))[40] ^= 1;
  put_files(disk, files);
  EXPECT_EQ(*tree.inclusion_proof(100, 1'500), before);
  EXPECT_EQ(verify().verdict, Verdict::incomplete);
  ASSERT_TRUE(verify().finding);
  EXPECT_EQ(verify().finding->link, "tile");
}

// Nothing of them is written before the batch is acknowledged, and little afterwards.
TEST_F(LogTreeTest, SideFilesCostOneWriteForAFullTile) {
  create_signed();
  limits.log_ahead_bytes = 0;
  limits.log_segment_bytes = 1 << 20;
  LogLife life = live();
  const auto writes = disk.writes();
  const auto syncs = disk.syncs();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(life.append("use.permitted", "urn:a:1"));
  EXPECT_EQ(disk.writes() - writes, 200U);
  EXPECT_EQ(disk.syncs() - syncs, 200U);
}

TEST_F(LogTreeTest, AStartMakesAgainWhatIsMissingShortWrongOrTooLong) {
  create_signed();
  {
    LogLife life = live();
    grow(life, 1'000);
    ASSERT_TRUE(life.writer->close());
  }
  const FlatLevels flat = expected();
  const Files whole = files_of(disk);
  const auto damage = [&](const std::function<void(Files&)>& change, bool seen) {
    Files files = whole;
    change(files);
    put_files(disk, files);
    EXPECT_EQ(verify().verdict, seen ? Verdict::incomplete : Verdict::whole) << describe(verify());
    if (seen) {
      EXPECT_EQ(verify().finding->link, "tile");
    }
    LogLife life = live();
    ASSERT_TRUE(life.writer);
    EXPECT_EQ(side_file(0), flat.levels[0]);
    EXPECT_EQ(side_file(1), flat.levels[1]);
    EXPECT_EQ(*life.writer->tree().root(777), *tree_root(777, stored_in_tiles(flat.source())));
    grow(life, 1'300);
    ASSERT_TRUE(life.writer->close());
    EXPECT_EQ(verify().verdict, Verdict::whole) << describe(verify());
    EXPECT_EQ(side_file(0), expected().levels[0]);
    EXPECT_EQ(side_file(1), expected().levels[1]);
  };
  damage([](Files& files) { files.erase("L0"); }, false);
  damage([](Files& files) { files.erase("L1"); }, false);
  damage([](Files& files) { files["L0"].resize(300 * 32 + 7); }, false);
  damage([](Files& files) { files["L1"].resize(0); }, false);
  damage([](Files& files) { files["L0"][5] ^= 1; }, true);
  damage([](Files& files) { files["L0"][999 * 32] ^= 1; }, true);
  damage([](Files& files) { files["L1"][2 * 32 + 31] ^= 0x80; }, true);
  damage([](Files& files) { std::fill_n(files["L0"].begin() + 512 * 32, 4096, 0); }, true);
  damage([](Files& files) { files["L0"].resize(1'200 * 32, 0xab); }, false);
}

TEST_F(LogTreeTest, ACheckpointCoversWhatWasAcknowledgedAndIsSignedOnce) {
  create_signed();
  LogLife life = live();
  LogTree& tree = tree_of(life);
  const VerifierKey known = key();
  for (int i = 0; i < 20; ++i) {
    const auto appended = life.append("use.permitted", "urn:a:1");
    const auto released = tree.checkpoint();
    ASSERT_TRUE(released) << released.error().message.code;
    EXPECT_EQ(released->checkpoint.size, appended->seq + 1);
    const auto verified = verify_checkpoint(released->note, std::span(&known, 1));
    ASSERT_TRUE(verified);
    EXPECT_EQ(verified->checkpoint, released->checkpoint);
    EXPECT_EQ(verified->checkpoint.root, expected().frontier.root());
    EXPECT_EQ(tree.checkpoint()->note, released->note);
    EXPECT_EQ(signatures, i + 1);
  }
  // A quiet log has one too, after a restart, without another signature.
  const std::string last = tree.checkpoint()->note;
  ASSERT_TRUE(life.writer->close());
  life.writer.reset();
  life.storage.reset();
  const int before = signatures;
  LogLife again = live();
  EXPECT_EQ(tree_of(again).checkpoint()->note, last);
  EXPECT_EQ(signatures, before);
}

TEST_F(LogTreeTest, AShorterLogIsRefusedOnceACheckpointWasSeen) {
  create_signed();
  Files older;
  {
    LogLife life = live();
    grow(life, 50);
    ASSERT_TRUE(life.writer->close());
    older = files_of(disk);
  }
  {
    LogLife life = live();
    grow(life, 60);
    ASSERT_TRUE(tree_of(life).checkpoint());
    // The power goes: no clean stop wrote the head file.
    disk.cut_power();
  }
  disk.power_on();
  EXPECT_EQ(refused(), "");
  Files set_back = older;
  set_back["head"] = files_of(disk)["head"];
  put_files(disk, set_back);
  EXPECT_EQ(refused(), "audit.log-short");
  EXPECT_EQ(verify().verdict, Verdict::changed);
  EXPECT_EQ(verify().finding->link, "short");
}

TEST_F(LogTreeTest, NoCheckpointLeavesBeforeTheHeadFileNamesIt) {
  create_signed();
  LogLife life = live();
  LogTree& tree = tree_of(life);
  grow(life, 10);
  const auto head = disk.contents("log/head");
  disk.fail_sync(1);
  EXPECT_FALSE(tree.checkpoint());
  EXPECT_EQ(disk.contents("log/head"), head);
  EXPECT_FALSE(life.writer->failed());
  const auto released = tree.checkpoint();
  ASSERT_TRUE(released);
  const auto written = *disk.contents("log/head");
  const auto parsed = parse_head(std::string(written.begin(), written.end()));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->mark.size, 10U);
  EXPECT_EQ(parsed->checkpoint, released->note);
  // A new segment keeps it; a clean stop leaves one over everything.
  grow(life, 500);
  const auto later = *disk.contents("log/head");
  const auto rolled = parse_head(std::string(later.begin(), later.end()));
  ASSERT_TRUE(rolled);
  EXPECT_GT(rolled->mark.size, 10U);
  EXPECT_EQ(rolled->checkpoint, released->note);
  ASSERT_TRUE(life.writer->close());
  EXPECT_EQ(verify().checkpoint->size, 500U);
  EXPECT_EQ(verify().verdict, Verdict::whole) << describe(verify());
}

TEST_F(LogTreeTest, NothingIsSignedAfterAFailureOfTheWriter) {
  create_signed();
  LogLife life = live();
  LogTree& tree = tree_of(life);
  grow(life, 10);
  disk.fail_sync(1);
  EXPECT_FALSE(life.append("use.permitted", "urn:a:1"));
  ASSERT_TRUE(life.writer->failed());
  disk.mend();
  EXPECT_EQ(code_of(tree.checkpoint()), "audit.log-failed");
  EXPECT_EQ(signatures, 0);
  EXPECT_EQ(tree.size(), 10U);
}

TEST_F(LogTreeTest, OnlyTheKeyOfTheGenesisSigns) {
  create_signed();
  LogLife life = live();
  LogTree& tree = life.writer->tree();
  EXPECT_EQ(code_of(tree.checkpoint()), "audit.log-key-other");
  tree.sign_with(key_of("clinic.example/log/1", third_seed), signer_of(third_seed));
  EXPECT_EQ(code_of(tree.checkpoint()), "audit.log-key-other");
}

TEST_F(LogTreeTest, AnotherHistoryThanWasToldIsRefused) {
  create_signed();
  {
    LogLife life = live();
    grow(life, 30);
    ASSERT_TRUE(tree_of(life).checkpoint());
    grow(life, 40);
    ASSERT_TRUE(life.writer->close());
  }
  const Files whole = files_of(disk);
  const std::string text(whole.at("head").begin(), whole.at("head").end());
  const Head head = *parse_head(text);
  const auto with_checkpoint = [&](const std::string& note) {
    Head other = head;
    other.checkpoint = note;
    const std::string bytes = to_text(other);
    Files files = whole;
    files["head"] = Bytes(bytes.begin(), bytes.end());
    put_files(disk, files);
  };
  // Signed with the right key, of another tree.
  Checkpoint other{"clinic.example/log/1", 40, sha256("other"), {}};
  with_checkpoint(*sign_checkpoint(other, key(), signer_of(log_seed)));
  EXPECT_EQ(refused(), "audit.log-other-root");
  EXPECT_EQ(verify().finding->link, "tree");
  EXPECT_EQ(verify().verdict, Verdict::changed);
  // The right tree, signed by somebody else.
  other.root = checkpoint_of(head)->root;
  with_checkpoint(
      *sign_checkpoint(other, key_of("clinic.example/log/1", third_seed), signer_of(third_seed))
  );
  EXPECT_EQ(refused(), "audit.log-refused");
  EXPECT_EQ(verify().finding->link, "checkpoint");
  with_checkpoint(head.checkpoint);
  EXPECT_EQ(refused(), "");
}

TEST_F(LogTreeTest, ProofsHoldWhereverTheHashesStand) {
  create_signed();
  LogLife life = live();
  grow(life, 700);  // a full tile level on the disk, a tail in memory
  const LogTree& tree = life.writer->tree();
  std::vector<std::string> texts;
  const FlatLevels flat = expected(&texts);
  const auto root_at = [&](std::uint64_t size) {
    return *tree_root(size, stored_in_tiles(flat.source()));
  };
  for (std::uint64_t size = 1; size <= 700; size += 37) {
    ASSERT_EQ(*tree.root(size), root_at(size));
    for (std::uint64_t index = 0; index < size; index += 53) {
      const auto proof = tree.inclusion_proof(index, size);
      ASSERT_TRUE(proof);
      EXPECT_TRUE(verify_inclusion(leaf_hash(texts[index]), index, size, *proof, root_at(size)));
    }
    const auto proof = tree.consistency_proof(size, 700);
    ASSERT_TRUE(proof);
    EXPECT_TRUE(verify_consistency(size, 700, root_at(size), root_at(700), *proof));
  }
  EXPECT_EQ(code_of(tree.consistency_proof(1, 701)), "audit.proof-range");
  EXPECT_EQ(code_of(tree.inclusion_proof(700, 700)), "audit.proof-range");
  EXPECT_EQ(code_of(tree.root(701)), "audit.proof-range");
}

TEST_F(LogTreeTest, TilesAndBundlesAreThoseOfTheRecords) {
  create_signed();
  LogLife life = live();
  grow(life, 700);  // over several segments of 64 KiB
  ASSERT_GE(files_of(disk).size(), 6U);
  std::vector<std::string> texts;
  const FlatLevels flat = expected(&texts);
  const auto check = [&](const LogTree& tree) {
    for (unsigned level = 0; level < 2; ++level) {
      for (std::uint64_t index = 0; const auto tile = tile_at(level, index, 700); ++index) {
        EXPECT_EQ(*tree.tile(*tile), *tile_content(*tile, flat.source()));
        Tile bundle = *tile;
        if (level != 0) continue;
        bundle.entries = true;
        const auto bytes = tree.tile(bundle);
        ASSERT_TRUE(bytes) << bytes.error().message.code;
        const std::string_view view(reinterpret_cast<const char*>(bytes->data()), bytes->size());
        const auto entries = decode_bundle(view, bundle.width);
        ASSERT_TRUE(entries);
        for (std::size_t i = 0; i < entries->size(); ++i) {
          EXPECT_EQ((*entries)[i], texts[bundle.begin() + i]);
        }
      }
    }
    // A reader with an older checkpoint still finds its partial tile.
    EXPECT_EQ(tree.tile({false, 0, 1, 17})->size(), 17U * 32);
    EXPECT_TRUE(tree.tile({true, 0, 1, 17}));
    EXPECT_EQ(code_of(tree.tile({false, 0, 2, 189})), "audit.tile-absent");
    EXPECT_EQ(code_of(tree.tile({true, 0, 2, 256})), "audit.tile-absent");
    EXPECT_EQ(code_of(tree.tile({false, 1, 0, 3})), "audit.tile-absent");
    EXPECT_EQ(code_of(tree.tile({false, 2, 0, 1})), "audit.tile-absent");
  };
  check(life.writer->tree());
  ASSERT_TRUE(life.writer->close());
  life.writer.reset();
  life.storage.reset();
  LogLife again = live();
  ASSERT_TRUE(again.writer);
  check(again.writer->tree());
}

// A power cut loses side files as it likes; the next start has them whole.
TEST_F(LogTreeTest, AfterAPowerCutTheSideFilesAreWhole) {
  create_signed();
  for (std::size_t round = 1; round <= 12; ++round) {
    {
      LogLife life = live();
      ASSERT_TRUE(life.writer);
      grow(life, round * 130);
      if (round % 3 == 0) {
        ASSERT_TRUE(tree_of(life).checkpoint());
      }
      disk.cut_power();
    }
    disk.power_on();
    LogLife life = live();
    ASSERT_TRUE(life.writer);
    const FlatLevels flat = expected();
    EXPECT_EQ(*life.writer->tree().root(round * 130), flat.frontier.root());
    EXPECT_EQ(side_file(0), flat.levels[0]);
    EXPECT_EQ(side_file(1), flat.levels[1]);
  }
}

// Questions while the writer writes: every answer fits every other one. Under ThreadSanitizer too.
TEST_F(LogTreeTest, AnswersAreRightWhileTheLogGrows) {
  const testing::TempDir folder;
  auto storage = *open_log_folder(folder.path(), FolderAccess::writable);
  Genesis genesis = test_genesis();
  genesis.vkey = key().text();
  ASSERT_TRUE(create_log(*storage, genesis, clock, random));
  LogWriter writer(*storage, *recover(*storage, {}), clock, random, limits);
  LogTree& tree = writer.tree();
  tree.sign_with(key(), signer_of(log_seed));
  std::atomic<bool> ended = false;
  std::atomic<int> faults = 0;
  std::atomic<int> asked = 0;
  const auto ask = [&] {
    const VerifierKey known = key();
    ReleasedCheckpoint last = *tree.checkpoint();
    do {
      const auto next = tree.checkpoint();
      if (!next || !verify_checkpoint(next->note, std::span(&known, 1))) return ++faults;
      const auto& old = last.checkpoint;
      const auto& now = next->checkpoint;
      const auto proof = tree.consistency_proof(old.size, now.size);
      const auto tile = tree.tile(*tile_at(0, (now.size - 1) / tile_width, now.size));
      const auto entry = tree.tile({true, 0, 0, 1});
      if (!proof || !tile || !entry ||
          !verify_consistency(old.size, now.size, old.root, now.root, *proof)) {
        ++faults;
      }
      last = *next;
      ++asked;
    } while (!ended);
    return 0;
  };
  std::vector<std::thread> readers;
  readers.emplace_back(ask);
  readers.emplace_back(ask);
  {
    LogThread pump(writer);
    for (int i = 0; i < 3'000; ++i) {
      RecordDraft draft("log.heartbeat", new_event(random, {1'772'352'000, 0}));
      writer.enqueue(std::move(draft));
      if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  ended = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(faults, 0);
  EXPECT_GT(asked, 2);
  ASSERT_TRUE(writer.close());
  EXPECT_EQ(tree.checkpoint()->checkpoint.size, 3'001U);
  EXPECT_EQ(verify_log(*storage).verdict, Verdict::whole);
}

// The log does not depend on its side files.
TEST_F(LogTreeTest, ADiskWithoutRoomForSideFilesDoesNotStopTheLog) {
  create_signed();
  limits.log_ahead_bytes = 0;
  limits.log_segment_bytes = 1 << 20;
  LogLife life = live();
  grow(life, 255);
  // The batch itself succeeds, the write of the tile behind it does not.
  life.enqueue("use.permitted", "urn:a:1");
  disk.fail_write(2);
  ASSERT_TRUE(life.writer->commit_batch());
  EXPECT_FALSE(life.writer->failed());
  EXPECT_EQ(life.writer->mark().size, 256U);
  EXPECT_EQ(*life.writer->tree().root(256), expected().frontier.root());
  grow(life, 600);
  ASSERT_TRUE(life.writer->close());
  EXPECT_EQ(side_file(0), expected().levels[0]);
}

}  // namespace
}  // namespace tally::audit
