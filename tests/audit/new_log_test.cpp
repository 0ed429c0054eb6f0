// From one log to the next: what the first record says of the log before, which proofs count, and
// the steps on the disk.
#include "tally/audit/new_log.hpp"

#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/audit/posix.hpp"

#include "audit/known_keys.hpp"
#include "audit/log_fixture.hpp"
#include "log_format.hpp"
#include "support/temp_dir.hpp"

namespace tally::audit {
namespace {

namespace fs = std::filesystem;

Json vector_of_the_next() {
  std::ifstream file(std::string(TALLY_SOURCE_DIR) + "/tests/data/audit/vectors.json");
  return Json::parse(file).at("following");
}

TEST(Origins, AreNumbered) {
  EXPECT_EQ(log_number("did:web:a.example/log/1"), 1U);
  EXPECT_EQ(log_number("a/log/3/log/42"), 42U);
  for (const char* wrong :
       {"",
        "/log/1",
        "a",
        "a/log/",
        "a/log/01",
        "a/log/0",
        "a/log/1x",
        "a/log/-1",
        "a/log/18446744073709551615",
        "a/log/18446744073709551616"}) {
    EXPECT_FALSE(log_number(wrong)) << wrong;
  }
  EXPECT_EQ(next_origin("a/log/9"), "a/log/10");
  EXPECT_TRUE(comes_after("a/log/10", "a/log/9"));
  EXPECT_FALSE(comes_after("a/log/9", "a/log/9"));
  EXPECT_FALSE(comes_after("a/log/9", "a/log/10"));
  EXPECT_FALSE(comes_after("b/log/10", "a/log/9"));
}

// Written by tests/data/audit/make_vectors.py, which shares no code with the program.
TEST(FollowsVector, IsReadAndWrittenAsASecondImplementationWritesIt) {
  const Json vector = vector_of_the_next();
  const Json record = Json::parse(vector.at("record").get<std::string>());
  const auto follows = parse_follows(record.at("follows"), "clinic.example/log/2");
  ASSERT_TRUE(follows);
  EXPECT_EQ(follows->origin, "clinic.example/log/1");
  EXPECT_EQ(follows->size, 5U);
  ASSERT_EQ(follows->proofs.size(), 1U);
  EXPECT_EQ(follows->proofs.front().size, 7U);
  EXPECT_EQ(to_json(*follows), record.at("follows"));
  EXPECT_EQ(to_hex(leaf_hash(to_jcs(record))), vector.at("leaf").get<std::string>());
}

// Every member is looked at: none may be missing, of another form, or beside the others.
TEST(FollowsVector, AnotherFormIsNone) {
  const Json record = Json::parse(vector_of_the_next().at("record").get<std::string>());
  const Json& good = record.at("follows");
  const std::string origin = "clinic.example/log/2";
  for (const auto& [key, value] : good.items()) {
    Json changed = good;
    changed.erase(key);
    EXPECT_FALSE(parse_follows(changed, origin)) << key;
    changed[key] = 1.5;
    EXPECT_FALSE(parse_follows(changed, origin)) << key;
  }
  const auto with = [&good](const char* pointer, Json value) {
    Json changed = good;
    changed[Json::json_pointer(pointer)] = std::move(value);
    return changed;
  };
  EXPECT_FALSE(parse_follows(with("/more", 1), origin));
  EXPECT_FALSE(parse_follows(with("/size", 0), origin));
  EXPECT_FALSE(parse_follows(with("/verdict", "fine"), origin));
  EXPECT_FALSE(parse_follows(with("/origin", "clinic.example/log/2"), origin));
  EXPECT_FALSE(parse_follows(with("/origin", "other.example/log/1"), origin));
  EXPECT_FALSE(parse_follows(with("/proofs/0/more", 1), origin));
  EXPECT_FALSE(parse_follows(with("/proofs/0/note", "sha256:00"), origin));
  Json many = good;
  for (std::size_t i = 0; i < most_proofs_of_loss; ++i) many["proofs"].push_back(good["proofs"][0]);
  EXPECT_FALSE(parse_follows(many, origin));
  EXPECT_TRUE(parse_follows(good, origin));
}

class NextLog : public LogTest {
 protected:
  void put(const std::string& record) {
    FrameBuilder frame;
    frame.start(0);
    frame.begin_record() += record;
    const Digest leaf = leaf_hash(frame.end_record());
    const auto storage = open_log(disk);
    auto segment = storage->create(segment_name(0));
    ASSERT_TRUE(segment);
    ASSERT_TRUE((*segment)->write_at(0, as_bytes(frame.finish())));
    ASSERT_TRUE((*segment)->sync());
    const Json json = Json::parse(record);
    ASSERT_TRUE(
        storage->replace_small(head_file, to_text(Head{json.at("log"), {1, to_hex(leaf)}, {}}))
    );
  }
};

TEST_F(NextLog, VerifySaysWhatItFollows) {
  const Json vector = vector_of_the_next();
  put(vector.at("record"));
  EXPECT_EQ(
      to_hex(files_of(disk).at(segment_name(0))), vector.at("segment_hex").get<std::string>()
  );
  const auto report = verify();
  EXPECT_EQ(report.verdict, Verdict::whole) << describe(report);
  ASSERT_TRUE(report.genesis && report.genesis->follows);
  EXPECT_EQ(report.genesis->follows->proofs.front().size, 7U);
  const auto says = [&report](const char* code) {
    for (const auto& note : report.notes) {
      if (note.code == code) return true;
    }
    return false;
  };
  EXPECT_TRUE(says("audit.verify-follows"));
  EXPECT_FALSE(says("audit.verify-follows-unproven"));
}

TEST_F(NextLog, AFirstRecordThatFollowsSomethingElseIsNone) {
  Json record = Json::parse(vector_of_the_next().at("record").get<std::string>());
  record["follows"]["origin"] = "other.example/log/1";
  put(to_jcs(record));
  const auto report = verify();
  EXPECT_EQ(report.verdict, Verdict::changed);
  EXPECT_EQ(report.finding->link, "genesis");
}

// --- proofs ---

class Proofs : public LogTest {
 protected:
  const std::string origin = "clinic.example/log/1";

  void SetUp() override {
    Genesis genesis = test_genesis();
    genesis.origin = origin;
    genesis.vkey = key_of(origin, log_seed).text();
    const auto storage = open_log(disk);
    ASSERT_TRUE(create_log(*storage, genesis, clock, random));
  }
  std::string note(std::uint64_t size, const Digest& root, const std::string& seed) {
    return sign_checkpoint({origin, size, root, {}}, key_of(origin, seed), signer_of(seed)).value();
  }
  std::vector<Follows::Proof> proofs() {
    const auto storage = open_log(disk);
    const auto given = give_up(*storage);
    return given ? given->follows.proofs : std::vector<Follows::Proof>{};
  }
  void keep(const std::string& text, std::vector<std::string> rotations = {}) {
    const auto storage = open_log(disk);
    ASSERT_TRUE(keep_proof(*storage, {text, std::move(rotations)}));
  }
};

TEST_F(Proofs, OnlyWhatTheLogSignedAndDoesNotHoldCounts) {
  Digest own{};
  {
    LogLife life = live();
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(life.append("log.heartbeat"));
    own = life.writer->tree().root(3).value();
    ASSERT_TRUE(life.writer->close());
  }
  const Digest other = sha256("other");
  EXPECT_TRUE(proofs().empty());
  keep(note(3, own, log_seed));       // its own past
  keep(note(99, other, third_seed));  // by another key
  EXPECT_TRUE(proofs().empty());
  keep(note(3, other, log_seed));   // another log of the same name
  keep(note(40, other, log_seed));  // a longer one
  keep(note(40, other, log_seed));
  const auto found = proofs();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].size, 40U);
  EXPECT_EQ(found[0].note, sha256(note(40, other, log_seed)));
  EXPECT_EQ(found[1].size, 3U);
  // They are no part of the log.
  EXPECT_EQ(verify().verdict, Verdict::whole) << describe(verify());
}

TEST_F(Proofs, ANoteByAKeyWhoseRotationWasLostCountsWithThatRotation) {
  const auto next = key_of(origin, third_seed);
  const KeyRotation rotation{origin, key_of(origin, log_seed), next, {1'800'000'000, 0}};
  const auto rotated = sign_rotation(rotation, signer_of(log_seed), signer_of(third_seed)).value();
  keep(note(50, sha256("other"), third_seed), {rotated});
  ASSERT_EQ(proofs().size(), 1U);
  EXPECT_EQ(proofs().front().size, 50U);
}

TEST_F(Proofs, TheRecordHasRoomForTheLongest) {
  for (std::uint64_t size = 100; size < 140; ++size) keep(note(size, sha256("x"), log_seed));
  const auto found = proofs();
  ASSERT_EQ(found.size(), most_proofs_of_loss);
  EXPECT_EQ(found.front().size, 139U);
  EXPECT_EQ(found.back().size, 140 - most_proofs_of_loss);
}

// --- on a real disk ---

class OnDisk : public ::testing::Test {
 protected:
  testing::TempDir folder;
  ManualClock clock;
  CountingRandom random;
  const std::string origin = "clinic.example/log/1";
  const Bytes public_key = ed25519_public_key(from_hex(log_seed).value()).value();

  void SetUp() override {
    fs::create_directory(folder / "log");
    const auto storage = open_log_folder(folder / "log", FolderAccess::writable);
    ASSERT_TRUE(storage);
    Genesis genesis = test_genesis();
    genesis.origin = origin;
    genesis.vkey = key_of(origin, log_seed).text();
    ASSERT_TRUE(create_log(**storage, genesis, clock, random));
  }
  Result<NewLog> begin(bool without_proof = false) {
    return begin_new_log({folder.path(), public_key, without_proof}, clock, random);
  }
  static std::string code_of(const Result<NewLog>& result) {
    return result ? "good" : result.error().message.code;
  }
};

TEST_F(OnDisk, BeginsOnceAndIsFinishedByTheSameAgain) {
  EXPECT_EQ(code_of(begin()), "audit.new-log-unproven");
  EXPECT_FALSE(new_log_under_way(folder.path()));
  EXPECT_TRUE(former_logs(folder.path()).empty());

  const auto first = begin(true);
  ASSERT_TRUE(first) << code_of(first);
  EXPECT_TRUE(new_log_under_way(folder.path()));
  EXPECT_EQ(first->genesis.origin, "clinic.example/log/2");
  EXPECT_EQ(first->genesis.vkey, key_of("clinic.example/log/2", log_seed).text());
  EXPECT_EQ(first->genesis.follows->origin, origin);
  EXPECT_EQ(first->mark.size, 1U);
  // The order decides from here on, and nothing is made twice.
  const auto again = begin();
  ASSERT_TRUE(again) << code_of(again);
  EXPECT_EQ(again->mark, first->mark);
  ASSERT_TRUE(finish_new_log(folder.path()));
  EXPECT_FALSE(new_log_under_way(folder.path()));
  EXPECT_EQ(former_logs(folder.path()), std::vector<fs::path>{folder / "log-1"});

  ASSERT_TRUE(begin(true));
  ASSERT_TRUE(finish_new_log(folder.path()));
  EXPECT_EQ(former_logs(folder.path()).size(), 2U);
}

TEST_F(OnDisk, AnOrderThatDoesNotFitIsRefused) {
  ASSERT_TRUE(begin(true));
  fs::remove_all(folder / "log");
  EXPECT_EQ(code_of(begin(true)), "audit.new-log-other");
  testing::write_file(folder / "new-log", "tally/new-log/v1\na/log/1\na/log/3\n");
  EXPECT_EQ(code_of(begin(true)), "audit.new-log-other");
}

TEST_F(OnDisk, NothingIsOverwrittenAndNobodyElseWrites) {
  fs::create_directory(folder / "log-1");
  EXPECT_EQ(code_of(begin(true)), "audit.log-exists");
  EXPECT_FALSE(new_log_under_way(folder.path()));
  fs::remove(folder / "log-1");
  const auto writer = open_log_folder(folder / "log", FolderAccess::writable);
  ASSERT_TRUE((*writer)->lock());
  EXPECT_EQ(code_of(begin(true)), "audit.log-locked");
}

}  // namespace
}  // namespace tally::audit
