// What a folder alone can show: the files of the tree, and the proof of a record.
#include "tally/audit/static_log.hpp"

#include <nlohmann/json.hpp>

#include "tally/audit/heads.hpp"
#include "tally/audit/shown_heads.hpp"
#include "tally/core/json.hpp"

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
  // A record as it stands in the log.
  std::string text_of_record(std::uint64_t seq) {
    std::string text;
    EXPECT_TRUE(for_each_record(*open_log(disk), seq, [&](const RecordView& record) {
      if (record.seq == seq) text = record.text;
    }));
    return text;
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

// Whoever has the log's key can sign a record of heads that counts otherwise than the log: a folder
// shows nothing from it.
TEST_F(StaticLogTest, NothingIsShownFromHeadsThatTheRecordsContradict) {
  make(30, 30);
  {
    LogLife life = live();
    ASSERT_TRUE(life.append("log.heads"));
  }
  const auto last_with = [this](const Digest& root) {
    std::vector<std::string> texts;
    const auto each = [&texts](const RecordView& record) { texts.emplace_back(record.text); };
    ASSERT_TRUE(for_each_record(*open_log(disk), 0, each));
    Json heads = Json::parse(texts.back());
    heads["root"] = digest_text(root);
    texts.back() = to_jcs(heads);
    FrameBuilder frame;
    frame.start(0);
    Digest leaf{};
    for (const std::string& text : texts) {
      frame.begin_record() += text;
      leaf = leaf_hash(frame.end_record());
    }
    const std::string_view bytes = frame.finish();
    const auto text = to_text(Head{"clinic.example/log/1", {texts.size(), to_hex(leaf)}});
    Files files;
    files[segment_name(0)] = Bytes(bytes.begin(), bytes.end());
    files["head"] = Bytes(text.begin(), text.end());
    put_files(disk, files);
    LogLife life = live();
    ASSERT_TRUE(life.writer);
    life.writer->tree().sign_with(key(), signer_of(log_seed));
    ASSERT_TRUE(life.writer->tree().checkpoint());
  };
  const AgreementHead head{29, leaf_hash(text_of_record(29)), 30};
  const auto right = HeadsMap::make({{AgreementId("urn:a:1"), head}})->root();
  last_with(right);
  EXPECT_EQ(code_of(prove_heads(*open_log(disk), AgreementId("urn:a:1"))), "");
  last_with(leaf_hash("another root"));
  EXPECT_EQ(
      code_of(prove_heads(*open_log(disk), AgreementId("urn:a:1"))), "audit.heads-other-root"
  );
  // The map of a moment before, which leaves the last record out, is no better.
  last_with(HeadsMap::make({})->root());
  EXPECT_EQ(
      code_of(prove_heads(*open_log(disk), AgreementId("urn:a:1"))), "audit.heads-other-root"
  );
}

TEST_F(StaticLogTest, AnAgreementIsShownToBeCompleteOrAbsent) {
  make(30, 30);
  EXPECT_EQ(code_of(prove_heads(*open_log(disk), AgreementId("urn:a:1"))), "audit.no-heads");
  {
    LogLife life = live();
    life.writer->tree().sign_with(key(), signer_of(log_seed));
    ASSERT_TRUE(life.append("use.permitted", "urn:a:2"));
    ASSERT_TRUE(life.append("log.heads"));
    ASSERT_TRUE(life.append("use.permitted", "urn:a:1"));  // behind the map
    ASSERT_TRUE(life.writer->close());
  }
  const auto storage = open_log(disk);
  LogPolicy policy;
  policy.logs.push_back({key(), {}});
  const auto shown_of = [&](const std::string& id) {
    return prove_heads(*storage, AgreementId(id)).value();
  };
  const auto check = [&](const ShownHeads& shown, const std::string& id) {
    return verify_shown_heads(parse_shown_heads(shown.print()).value(), AgreementId(id), policy);
  };
  const auto one = check(shown_of("urn:a:1"), "urn:a:1").value();
  EXPECT_EQ(one.size, 31U);
  EXPECT_EQ(one.checkpoint.checkpoint.size, 33U);
  EXPECT_EQ(one.head->aseq, 29U);
  EXPECT_EQ(one.head->size, 30U);
  EXPECT_EQ(one.head->leaf, leaf_hash(prove_record(*storage, 29)->record));
  EXPECT_FALSE(check(shown_of("urn:a:3"), "urn:a:3")->head);
  // A file about one agreement says nothing of another.
  EXPECT_EQ(code_of(check(shown_of("urn:a:1"), "urn:a:2")), "audit.heads-proof-wrong");
  EXPECT_FALSE(verify_shown_heads(shown_of("urn:a:1"), AgreementId("urn:a:1"), {}));

  ShownHeads other = shown_of("urn:a:1");
  other.record += " ";
  EXPECT_EQ(code_of(check(other, "urn:a:1")), "audit.inclusion-unproved");
  // A record that the log does vouch for, and which is no such statement.
  const Json statement = Json::parse(shown_of("urn:a:1").record);
  {
    LogLife life = live();
    life.writer->tree().sign_with(key(), signer_of(log_seed));
    RecordDraft draft("log.opened", new_event(random, clock.at));
    draft.set("root", statement["root"].get<std::string>());
    life.writer->enqueue(draft);
    ASSERT_TRUE(life.writer->close());
  }
  const auto opened = prove_record(*storage, 33);
  ASSERT_TRUE(opened);
  other.record = opened->record;
  other.proof = opened->proof;
  EXPECT_EQ(code_of(check(other, "urn:a:1")), "audit.shown-heads-other");

  // No changed byte of the statement and its map passes; the note has bytes that nobody needs.
  const std::string text = shown_of("urn:a:1").print();
  const std::size_t note = text.find("c2sp.org/tlog-proof");
  for (std::size_t i = 0; i < note; ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto parsed = parse_shown_heads(changed);
    EXPECT_FALSE(parsed && check(*parsed, "urn:a:1")) << i;
  }
}

// Statements that no writer of ours makes, each under a checkpoint that the log did sign.
TEST_F(StaticLogTest, AStatementThatIsNotOfItsLogAndPlaceIsNotBelieved) {
  LogPolicy policy;
  policy.logs.push_back({key(), {}});
  const AgreementId agreement("urn:a:1");
  const auto said = [&](const std::string& log, std::uint64_t seq, std::uint64_t head_size) {
    const auto map = HeadsMap::make({{agreement, {1, Digest{}, head_size}}}).value();
    const Json record = {
        {"log", log}, {"root", digest_text(map.root())}, {"seq", seq}, {"type", "log.heads"}};
    ShownHeads shown{to_jcs(record), map.prove(agreement), {}};
    Frontier tree;
    const Digest first = leaf_hash("first");
    tree.append(first);
    tree.append(leaf_hash(shown.record));
    shown.proof.index = 1;
    shown.proof.hashes = {first};
    const Checkpoint checkpoint{key().name, 2, tree.root(), {}};
    shown.proof.checkpoint = sign_checkpoint(checkpoint, key(), signer_of(log_seed)).value();
    return code_of(verify_shown_heads(shown, agreement, policy));
  };
  EXPECT_EQ(said(key().name, 1, 1), "");
  EXPECT_EQ(said(key().name, 1, 2), "audit.shown-heads-other");
  EXPECT_EQ(said(key().name, 0, 1), "audit.shown-heads-other");
  EXPECT_EQ(said("other.example/log/1", 1, 1), "audit.shown-heads-other");
}

TEST_F(StaticLogTest, AProofComesWithTheCosignaturesThatAreKept) {
  make(20, 30);
  const auto released = read_checkpoint(*open_log(disk));
  ASSERT_TRUE(released);
  const auto line = cosign_checkpoint(released->note, witness_key(), 5, signer_of(witness_seed));
  ASSERT_TRUE(line);
  const std::string cosigned = released->note + line->line();
  ASSERT_TRUE(open_log(disk)->replace_small("cosigned", cosigned));
  EXPECT_EQ(read_checkpoint(*open_log(disk))->note, cosigned);
  {
    LogLife life = live();
    life.writer->tree().sign_with(key(), signer_of(log_seed));
    EXPECT_EQ(life.writer->tree().cosigned(), cosigned);
    ASSERT_TRUE(life.writer->tree().checkpoint());
    EXPECT_NE(life.writer->tree().shown_checkpoint().value(), cosigned);
  }
  const auto policy = parse_log_policy(
      "log " + key().text() + "\nwitness w " + witness_key().text() + "\nquorum w\n"
  );
  ASSERT_TRUE(policy);
  for (const auto& [seq, shown] : {std::pair(7, ""), std::pair(25, "audit.quorum-missed")}) {
    const auto proven = prove_record(*open_log(disk), static_cast<std::uint64_t>(seq));
    ASSERT_TRUE(proven);
    EXPECT_EQ(code_of(verify_log_proof(proven->proof, leaf_hash(proven->record), *policy)), shown);
  }
  EXPECT_EQ(verify_log(*open_log(disk)).verdict, Verdict::whole);

  // A state that the log signed and does not have.
  const Checkpoint other{"clinic.example/log/1", 20, leaf_hash("another"), {}};
  const auto forked = sign_checkpoint(other, key(), signer_of(log_seed));
  ASSERT_TRUE(open_log(disk)->replace_small("cosigned", *forked));
  EXPECT_EQ(verify_log(*open_log(disk)).verdict, Verdict::changed);
  EXPECT_EQ(code_of(recover(*open_log(disk), {})), "audit.log-other-root");
  // And one that it never signed is nobody's.
  ASSERT_TRUE(open_log(disk)->replace_small("cosigned", "rubbish"));
  EXPECT_EQ(verify_log(*open_log(disk)).verdict, Verdict::changed);
  EXPECT_EQ(recover(*open_log(disk), {})->cosigned, "");
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
