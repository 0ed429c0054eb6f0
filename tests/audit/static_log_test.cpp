// What a folder alone can show: the files of the tree, and the proof of a record.
#include "tally/audit/static_log.hpp"

#include "audit/flat_levels.hpp"
#include "audit/known_keys.hpp"
#include "audit/log_fixture.hpp"
#include "log_format.hpp"

namespace tally::audit {
namespace {

class StaticLogTest : public LogTest {
 protected:
  static VerifierKey key() { return key_of("clinic.example/log/1", log_seed); }

  // `signed_size` records under the checkpoint, and `size` in all.
  void make(std::size_t signed_size, std::size_t size) {
    Genesis genesis = test_genesis();
    genesis.vkey = key().text();
    ASSERT_TRUE(create_log(*open_log(disk), genesis, clock, random));
    LogLife life = live();
    LogTree& tree = life.writer->tree();
    tree.sign_with(key(), signer_of(log_seed));
    while (life.writer->mark().size < size) {
      ASSERT_TRUE(life.append("use.permitted", "urn:a:1"));
      if (life.writer->mark().size == signed_size) {
        ASSERT_TRUE(tree.checkpoint());
      }
    }
  }
  struct Written {
    std::map<std::string, Bytes> files;
    std::string error;
  };
  Written write() {
    Written out;
    const auto storage = open_log(disk);
    const auto done = write_static_log(
        *storage,
        [&out](const std::string& path, std::span<const std::uint8_t> bytes) -> Result<void> {
          out.files[path] = Bytes(bytes.begin(), bytes.end());
          return {};
        }
    );
    out.error = code_of(done);
    return out;
  }
};

TEST_F(StaticLogTest, TheFilesAreTheTreeUnderTheCheckpointAndNoMore) {
  make(600, 640);
  FlatLevels flat;
  ASSERT_TRUE(for_each_record(*open_log(disk), 0, [&](const RecordView& record) {
    if (record.seq < 600) flat.add(record.text);
  }));
  const Written written = write();
  EXPECT_EQ(written.error, "");
  std::size_t files = 1;
  for (unsigned level = 0; level < tile_levels; ++level) {
    for (std::uint64_t index = 0; const auto tile = tile_at(level, index, 600); ++index) {
      EXPECT_EQ(written.files.at(tile_path(*tile)), *tile_content(*tile, flat.source()));
      Tile bundle = *tile;
      bundle.entries = true;
      if (level == 0) EXPECT_TRUE(written.files.contains(tile_path(bundle)));
      files += level == 0 ? 2 : 1;
    }
  }
  EXPECT_EQ(written.files.size(), files);
  const Bytes& note = written.files.at("checkpoint");
  const VerifierKey known = key();
  const auto verified =
      verify_checkpoint({reinterpret_cast<const char*>(note.data()), note.size()}, {&known, 1});
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->checkpoint.root, flat.frontier.root());
}

TEST_F(StaticLogTest, EachRecordIsProvedAndNoneBehindTheCheckpoint) {
  make(300, 310);
  LogPolicy policy;
  policy.logs.push_back({key(), {}});
  const auto storage = open_log(disk);
  for (const std::uint64_t seq : {0U, 1U, 255U, 256U, 298U, 299U}) {
    const auto proven = prove_record(*storage, seq);
    ASSERT_TRUE(proven);
    EXPECT_EQ(parse_log_proof(proven->proof.print())->index, seq);
    EXPECT_TRUE(verify_log_proof(proven->proof, leaf_hash(proven->record), policy));
    EXPECT_FALSE(verify_log_proof(proven->proof, leaf_hash(proven->record + " "), policy));
  }
  EXPECT_EQ(code_of(prove_record(*storage, 300)), "audit.record-unsigned");
}

TEST_F(StaticLogTest, WhatIsNotSignedOrDoesNotFitIsNotShown) {
  make(50, 60);
  EXPECT_EQ(read_genesis(*open_log(disk))->vkey, key().text());
  const Files whole = files_of(disk);
  const std::string text(whole.at("head").begin(), whole.at("head").end());
  const auto with_head = [&](Head head) {
    const std::string bytes = to_text(head);
    Files files = whole;
    files["head"] = Bytes(bytes.begin(), bytes.end());
    put_files(disk, files);
  };
  Head head = *parse_head(text);
  const std::string note = head.checkpoint;
  head.checkpoint.clear();
  with_head(head);
  EXPECT_EQ(write().error, "audit.no-checkpoint");
  EXPECT_EQ(code_of(prove_record(*open_log(disk), 3)), "audit.no-checkpoint");

  const Checkpoint forged{"clinic.example/log/1", 50, sha256("other"), {}};
  head.checkpoint = *sign_checkpoint(forged, key(), signer_of(log_seed));
  with_head(head);
  const Written written = write();
  EXPECT_EQ(written.error, "audit.log-other-root");
  EXPECT_FALSE(written.files.contains("checkpoint"));
  EXPECT_EQ(code_of(prove_record(*open_log(disk), 3)), "audit.log-other-root");

  const auto other_key = key_of("clinic.example/log/1", third_seed);
  head.checkpoint = *sign_checkpoint(forged, other_key, signer_of(third_seed));
  with_head(head);
  EXPECT_EQ(write().error, "audit.log-refused");

  // A record under the checkpoint that cannot be read any more.
  head.checkpoint = note;
  with_head(head);
  Files files = files_of(disk);
  files[segment_name(0)].resize(files[segment_name(0)].size() / 4);
  put_files(disk, files);
  EXPECT_EQ(write().error, "audit.log-unread");
}

}  // namespace
}  // namespace tally::audit
