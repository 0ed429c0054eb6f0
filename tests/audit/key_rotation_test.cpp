// The keys of a log one after another: the note, the order, and what follows for checkpoints, for a
// folder and for a witness.
#include "tally/audit/key_rotation.hpp"

#include <gtest/gtest.h>

#include "tally/audit/static_log.hpp"
#include "tally/audit/verify.hpp"
#include "tally/audit/witness.hpp"

#include "audit/known_keys.hpp"
#include "audit/log_fixture.hpp"
#include "audit/station.hpp"
#include "audit/tree_reference.hpp"

namespace tally::audit {
namespace {

const Instant until{1'800'000'000, 0};

VerifierKey key(const std::string& seed, const std::string& origin = known_origin) {
  return key_of(origin, seed);
}
std::string note_of(
    const std::string& before, const std::string& after, const std::string& origin = known_origin
) {
  const KeyRotation rotation{origin, key(before, origin), key(after, origin), until};
  return sign_rotation(rotation, signer_of(before), signer_of(after)).value();
}
std::string signed_by(std::uint64_t size, const std::vector<std::string>& seeds) {
  Note note{Checkpoint{known_origin, size, leaf_hash("root"), {}}.text(), {}};
  for (const auto& seed : seeds) {
    note.signatures.push_back(make_signature(note.text, key(seed), signer_of(seed)).value());
  }
  return note.print();
}

TEST(KeyRotation, ReadsWhatWasWritten) {
  const auto read = parse_rotation(note_of(log_seed, third_seed));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, (KeyRotation{known_origin, key(log_seed), key(third_seed), until}));
}

TEST(KeyRotation, NeedsBothSignaturesAndTheFormItHas) {
  const std::string good = note_of(log_seed, third_seed);
  const auto note = parse_note(good).value();
  for (const std::size_t left_out : {0U, 1U}) {
    Note one = note;
    one.signatures.erase(one.signatures.begin() + static_cast<std::ptrdiff_t>(left_out));
    EXPECT_EQ(code_of(parse_rotation(one.print())), "audit.rotation-malformed") << left_out;
  }
  // By one key twice; of another log; of one key; a checkpoint; a changed line.
  Note twice = note;
  twice.signatures[1] = twice.signatures[0];
  EXPECT_FALSE(parse_rotation(twice.print()));
  const KeyRotation foreign{known_origin, key(log_seed), key(third_seed, "other/log/1"), until};
  const auto of_other = sign_rotation(foreign, signer_of(log_seed), signer_of(third_seed));
  EXPECT_FALSE(parse_rotation(of_other.value()));
  EXPECT_FALSE(parse_rotation(note_of(log_seed, log_seed)));
  EXPECT_FALSE(parse_rotation(signed_by(3, {log_seed, third_seed})));
  std::string changed = good;
  changed.replace(changed.find("2027"), 4, "2037");
  EXPECT_FALSE(parse_rotation(changed));
}

TEST(LogKeys, FollowTheCurrentKeyAndNeverGoBack) {
  LogKeys keys(key(log_seed));
  EXPECT_EQ(code_of(keys.rotate(5, note_of(third_seed, log_seed))), "audit.rotation-unfit");
  ASSERT_TRUE(keys.rotate(5, note_of(log_seed, third_seed)));
  // The same once more, and back to the first key: whoever finds that one gains nothing.
  EXPECT_EQ(code_of(keys.rotate(6, note_of(log_seed, third_seed))), "audit.rotation-unfit");
  EXPECT_EQ(code_of(keys.rotate(6, note_of(third_seed, log_seed))), "audit.rotation-unfit");
  EXPECT_EQ(keys.current(), key(third_seed));
  EXPECT_EQ(keys.at(5), key(log_seed));
  EXPECT_EQ(keys.at(6), key(third_seed));
}

TEST(LogKeys, ACheckpointCountsByTheKeyOfItsSize) {
  LogKeys keys(key(log_seed));
  ASSERT_TRUE(keys.rotate(5, note_of(log_seed, third_seed)));
  EXPECT_TRUE(keys.verify(signed_by(5, {log_seed})));
  EXPECT_TRUE(keys.verify(signed_by(6, {third_seed})));
  EXPECT_TRUE(keys.verify(signed_by(6, {third_seed, log_seed})));
  // An older key alone behind the rotation, a newer one before it.
  EXPECT_EQ(code_of(keys.verify(signed_by(6, {log_seed}))), "audit.note-unsigned");
  EXPECT_EQ(code_of(keys.verify(signed_by(5, {third_seed}))), "audit.note-unsigned");
}

// --- a folder ---

class RotatedLog : public LogTest {
 protected:
  const std::string origin = "clinic.example/log/1";

  void SetUp() override {
    Genesis genesis = test_genesis();
    genesis.vkey = key(log_seed, origin).text();
    const auto storage = open_log(disk);
    ASSERT_TRUE(create_log(*storage, genesis, clock, random));
  }
  Result<Appended> rotate(LogLife& life, const std::string& before, const std::string& after) {
    RecordDraft draft("key.rotated", new_event(random, {1'772'352'000, 0}));
    draft.set("vkey", key(after, origin).text()).set("note", note_of(before, after, origin));
    auto ticket = life.writer->enqueue(std::move(draft));
    life.writer->commit_batch();
    return life.wait(std::move(ticket));
  }
  void sign_with(LogTree& tree, const std::string& seed) {
    tree.sign_with(key(seed, origin), signer_of(seed));
  }
};

TEST_F(RotatedLog, IsSignedByBothAndThenByTheNewKeyAlone) {
  LogLife life = live();
  LogTree& tree = life.writer->tree();
  sign_with(tree, log_seed);
  ASSERT_TRUE(tree.checkpoint());
  tree.hold_signing();
  ASSERT_TRUE(rotate(life, log_seed, third_seed));
  // No checkpoint over the rotation by the old key alone, not for a moment.
  EXPECT_EQ(code_of(tree.checkpoint()), "audit.log-key-other");
  tree.rotated(key(third_seed, origin));
  sign_with(tree, log_seed);
  EXPECT_EQ(code_of(tree.checkpoint()), "audit.log-key-other");
  sign_with(tree, third_seed);
  tree.sign_also_with(key(log_seed, origin), signer_of(log_seed));
  const auto both = tree.checkpoint();
  ASSERT_TRUE(both);
  for (const auto& seed : {log_seed, third_seed}) {
    const std::vector known{key(seed, origin)};
    EXPECT_TRUE(verify_checkpoint(both->note, known)) << seed;
  }
  ASSERT_TRUE(life.append("log.heartbeat"));
  sign_with(tree, third_seed);
  ASSERT_TRUE(life.writer->close());
  life.writer.reset();
  life.storage.reset();

  const auto storage = open_log(disk);
  EXPECT_EQ(verify_log(*storage).verdict, Verdict::whole);
  const auto keys = read_keys(*storage);
  ASSERT_TRUE(keys);
  ASSERT_EQ(keys->entries().size(), 2U);
  EXPECT_EQ(keys->entries()[1].from, 1U);
  EXPECT_TRUE(prove_record(*storage, 1));
  LogLife again = live();
  ASSERT_TRUE(again.writer);
  sign_with(again.writer->tree(), log_seed);
  ASSERT_TRUE(again.append("log.heartbeat"));
  EXPECT_EQ(code_of(again.writer->tree().checkpoint()), "audit.log-key-other");
}

TEST_F(RotatedLog, ARotationThatTheCurrentKeyDidNotSignIsNotThisLogs) {
  LogLife life = live();
  ASSERT_TRUE(rotate(life, third_seed, witness_seed));
  ASSERT_TRUE(life.writer->close());
  life.writer.reset();
  life.storage.reset();
  const auto report = verify_log(*open_log(disk));
  EXPECT_EQ(report.verdict, Verdict::changed);
  ASSERT_TRUE(report.finding);
  EXPECT_EQ(report.finding->link, "key");
  EXPECT_EQ(report.finding->seq, 1U);
  EXPECT_EQ(code_of(read_keys(*open_log(disk))), "audit.log-refused");
  EXPECT_EQ(live().error->message.code, "audit.log-refused");
}

// --- a witness ---

const PartyId lab{"north", "did:web:lab.example"};
const PartyId stranger{"north", "did:web:stranger.example"};

class LabLog final : public WatchList {
 public:
  [[nodiscard]] std::optional<Watched> find(std::string_view origin, const PartyId& from)
      const override {
    if (origin != known_origin || from != lab) return std::nullopt;
    return Watched{{log_key()}, lab};
  }
};

struct WorldFirst {
  sim::World own{1};
};

class RotatingWitness : public ::testing::Test, private WorldFirst, public Station {
 protected:
  RotatingWitness() : Station(own, "self") {}
  ~RotatingWitness() override { stop(); }
  void SetUp() override { start(); }
  void begin() override {
    witness = std::make_unique<Witness>(
        WitnessParts{*store, *journal, node->clock(), node->random(), logs},
        witness_key(),
        signer_of(witness_seed)
    );
  }
  void end() override { witness.reset(); }

  int post(std::uint64_t old_size, std::uint64_t size, const std::string& seed) {
    AddCheckpoint made;
    made.old_size = old_size;
    made.checkpoint = {known_origin, size, reference::root(leaves, 0, size), {}};
    if (old_size > 0) made.proof = reference::subproof(leaves, old_size, 0, size, true);
    made.note =
        parse_note(sign_checkpoint(made.checkpoint, key(seed), signer_of(seed)).value()).value();
    const auto reply = sim::await(*node, witness->add_checkpoint(made.print(), lab));
    return reply ? static_cast<int>(reply->answer.status) : 503;
  }
  std::string learn(const std::vector<std::string>& notes, const PartyId& from = lab) {
    return code_of(sim::await(*node, witness->learn_rotations(print_rotations(notes), from)));
  }

  reference::Leaves leaves = reference::numbered_leaves(60);
  LabLog logs;
  std::unique_ptr<Witness> witness;
};

TEST_F(RotatingWitness, LearnsTheNewKeyForGood) {
  ASSERT_EQ(post(0, 5, log_seed), 200);
  EXPECT_EQ(post(5, 8, third_seed), 403);
  const std::vector notes{note_of(log_seed, third_seed)};
  EXPECT_EQ(learn(notes, stranger), "audit.witness-unknown-log");
  EXPECT_EQ(learn(notes), "");
  EXPECT_EQ(learn(notes), "");
  EXPECT_EQ(records("witness.rekeyed").size(), 1U);
  EXPECT_EQ(post(5, 8, third_seed), 200);
  // The key that was left counts no more, and cannot name another one.
  EXPECT_EQ(post(8, 9, log_seed), 403);
  EXPECT_EQ(learn({note_of(log_seed, witness_seed)}), "audit.rotation-unfit");
  cut_power();
  start();
  EXPECT_EQ(post(8, 9, log_seed), 403);
  EXPECT_EQ(post(8, 9, third_seed), 200);
  EXPECT_EQ(witness->rotations(to_hex(sha256(known_origin)), lab).value(), print_rotations(notes));
  EXPECT_FALSE(witness->rotations(to_hex(sha256(known_origin)), stranger).value());
}

TEST_F(RotatingWitness, LearnsItBeforeTheFirstCheckpointToo) {
  EXPECT_EQ(learn({note_of(log_seed, third_seed)}), "");
  EXPECT_EQ(post(0, 5, log_seed), 403);
  EXPECT_FALSE(witness->checkpoint(to_hex(sha256(known_origin)), lab).value());
  EXPECT_EQ(post(0, 5, third_seed), 200);
}

TEST_F(RotatingWitness, TakesNothingThatIsNoSuchNote) {
  for (const std::string body :
       {"", "{}", R"({"rotations":[]})", R"({"rotations":[1]})", R"({"rotations":["x"]})"}) {
    const auto learned = sim::await(*node, witness->learn_rotations(body, lab));
    EXPECT_EQ(code_of(learned), "audit.rotation-malformed") << body;
  }
  const std::vector<std::string> many(most_rotations + 1, note_of(log_seed, third_seed));
  EXPECT_EQ(learn(many), "audit.rotation-malformed");
}

}  // namespace
}  // namespace tally::audit
