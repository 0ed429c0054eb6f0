#include "tally/audit/snapshot.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "audit/known_keys.hpp"
#include "audit/log_fixture.hpp"
#include "log_format.hpp"
#include "record_scan.hpp"
#include "segment_reader.hpp"
#include "sim/memory_store.hpp"

namespace tally::audit {
namespace {

// The number of records of each type.
class TypeCounts final : public LogPart {
 public:
  std::map<std::string, std::uint64_t> counts;

  std::string_view part_name() const override { return "types"; }
  Result<void> replay(const RecordView& record) override {
    ++counts[std::string(record.type)];
    return {};
  }
  void save(const Item& item) const override {
    for (const auto& [type, count] : counts) item({{"type", type}, {"count", count}});
  }
  Result<void> restore(const Json& item) override {
    const auto type = string_member(item, "type", "");
    if (!type || !item.value("count", Json()).is_number_unsigned()) {
      return malformed_item(part_name());
    }
    counts[*type] = item["count"].get<std::uint64_t>();
    return {};
  }
};

class Parts final : public LogParts {
 public:
  std::vector<LogPart*> all() override { return {&types}; }
  TypeCounts types;
};

std::unique_ptr<LogParts> make_parts() {
  return std::make_unique<Parts>();
}

const std::map<std::string, std::uint64_t>& counts_of(const Reopened& log) {
  return static_cast<Parts&>(*log.parts).types.counts;
}

class SnapshotTest : public LogTest {
 protected:
  Result<Reopened> reopen(
      const Result<std::optional<Snapshot>>& snapshot,
      const LogMark& mark = {},
      const EachRecord& each = {}
  ) {
    const auto storage = open_log(disk);
    return reopen_log(*storage, mark, snapshot, make_parts, each);
  }
  Result<Snapshot> make(std::uint64_t size, const Snapshot* base = nullptr) {
    Parts parts;
    return make_snapshot(*open_log(disk), base, size, parts);
  }
  // The sizes at which a frame ends, and so a snapshot may be.
  std::vector<std::uint64_t> frame_ends() {
    std::vector<std::uint64_t> ends;
    const auto storage = open_log(disk);
    const auto segments = list_segments(*storage);
    for (const SegmentName& segment : *segments) {
      auto reader = SegmentReader::open(*storage, segment.name);
      for (std::uint64_t offset = 0;;) {
        const auto frame = reader->frame_at(offset);
        if (frame->state != FrameState::valid) break;
        ends.push_back(frame->first_seq + frame->count);
        offset += frame->length;
      }
    }
    return ends;
  }
  static void expect_same(const Reopened& found, const Reopened& wanted) {
    const Recovered& a = found.recovered;
    const Recovered& b = wanted.recovered;
    EXPECT_EQ(a.mark(), b.mark());
    EXPECT_EQ(a.time, b.time);
    EXPECT_EQ(a.agreements, b.agreements);
    EXPECT_EQ(a.heads_due, b.heads_due);
    EXPECT_EQ(a.keys.entries(), b.keys.entries());
    EXPECT_EQ(a.genesis.origin, b.genesis.origin);
    EXPECT_EQ(a.genesis.actor, b.genesis.actor);
    EXPECT_EQ(a.segment, b.segment);
    EXPECT_EQ(a.offset, b.offset);
    EXPECT_EQ(a.tree, b.tree);
    EXPECT_EQ(a.side_files, b.side_files);
    EXPECT_EQ(counts_of(found), counts_of(wanted));
  }
  void expect_refused(const Result<std::optional<Snapshot>>& snapshot, const std::string& code) {
    const auto whole = reopen(std::optional<Snapshot>());
    const auto found = reopen(snapshot);
    ASSERT_TRUE(found);
    ASSERT_TRUE(found->refused);
    EXPECT_EQ(found->refused->code, code) << render(*found->refused, Lang::en);
    EXPECT_EQ(found->from, 0U);
    expect_same(*found, *whole);
  }
};

TEST_F(SnapshotTest, AStartFromItIsAStartFromTheFirstRecord) {
  fill(700);
  const auto whole = reopen(std::optional<Snapshot>());
  ASSERT_TRUE(whole);
  const auto ends = frame_ends();
  ASSERT_GT(ends.size(), 100U);
  std::optional<Snapshot> base;
  for (const std::uint64_t size : ends) {
    const auto snapshot = make(size);
    // The one before leads to the same as all records do.
    const auto led_on = make(size, base ? &*base : nullptr);
    ASSERT_TRUE(led_on);
    ASSERT_EQ(*led_on, *snapshot) << size;
    base = *snapshot;
    std::uint64_t read = 0;
    const auto found = reopen(base, {}, [&read](const RecordView&) { ++read; });
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->refused) << render(*found->refused, Lang::en) << " at " << size;
    EXPECT_EQ(found->from, size);
    EXPECT_EQ(read, whole->recovered.size - size);
    expect_same(*found, *whole);
  }
}

TEST_F(SnapshotTest, TheLogGoesOnBehindIt) {
  fill(300);
  const auto snapshot = make(300);
  ASSERT_TRUE(snapshot);
  {
    const auto storage = open_log(disk);
    auto reopened = reopen_log(*storage, {}, std::optional(*snapshot), make_parts);
    ASSERT_TRUE(reopened);
    LogWriter writer(*storage, std::move(reopened->recovered), clock, random, limits);
    for (int i = 0; i < 400; ++i) {
      RecordDraft draft("log.heartbeat", new_event(random, clock.at));
      if (i % 2 == 0) draft.about(AgreementId("urn:a:1"));
      writer.enqueue(std::move(draft));
      writer.commit_batch();
    }
    // Entries from before the snapshot are found as well.
    for (std::uint64_t index = 0; index < 2; ++index) {
      const auto bundle = writer.tree().tile({true, 0, index, tile_width});
      ASSERT_TRUE(bundle) << index;
      const std::string_view bytes(reinterpret_cast<const char*>(bundle->data()), bundle->size());
      const auto entries = decode_bundle(bytes, tile_width);
      ASSERT_TRUE(entries);
      EXPECT_EQ(find_member(entries->front(), "seq"), std::to_string(index * tile_width));
    }
    ASSERT_TRUE(writer.close());
  }
  EXPECT_EQ(verify().verdict, Verdict::whole) << describe(verify());
  const auto found = reopen(std::optional(*snapshot));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->from, 300U);
  expect_same(*found, *reopen(std::optional<Snapshot>()));
}

TEST_F(SnapshotTest, OneOfAnotherLogIsRefused) {
  fill(300);
  const auto snapshot = make(300);
  const Files first = files_of(disk);
  put_files(disk, {});
  clock.at = clock.at + seconds(1);
  fill(400);  // the same lengths, other records
  expect_refused(std::optional(*snapshot), "audit.snapshot-unfit");
  // The other way round: the store is newer than the log.
  const auto later = make(400);
  put_files(disk, first);
  expect_refused(std::optional(*later), "audit.snapshot-unfit");
  // And with what the store knows besides, the log that was set back is refused as ever.
  const auto set_back = reopen(std::optional(*later), later->at);
  ASSERT_FALSE(set_back);
  EXPECT_EQ(set_back.error().message.code, "audit.log-short");
}

// Two ends of one log: the hashes that are on the disk are those of both.
TEST_F(SnapshotTest, OneOfAnotherEndOfTheSameLogIsRefused) {
  fill(512, false);
  const Files common = files_of(disk);
  std::vector<Snapshot> ends;
  std::vector<Files> files;
  for (const char* type : {"log.heartbeat", "log.opened"}) {
    put_files(disk, common);
    {
      LogLife life = live();
      for (int i = 0; i < 9; ++i) ASSERT_TRUE(life.append(type));
    }
    auto snapshot = make(521);
    ASSERT_TRUE(snapshot);
    ends.push_back(*std::move(snapshot));
    files.push_back(files_of(disk));
  }
  ASSERT_EQ(files[0].at("L0"), files[1].at("L0"));
  EXPECT_EQ(reopen(std::optional(ends[1]))->from, 521U);
  expect_refused(std::optional(ends[0]), "audit.snapshot-unfit");
}

TEST_F(SnapshotTest, WhatWasToldBelowItMustHold) {
  const VerifierKey key = key_of("clinic.example/log/1", log_seed);
  Genesis genesis = test_genesis();
  genesis.vkey = key.text();
  ASSERT_TRUE(create_log(*open_log(disk), genesis, clock, random));
  {
    LogLife life = live();
    for (int i = 1; i < 400; ++i) ASSERT_TRUE(life.append("use.permitted", "urn:a:1"));
    life.writer->tree().sign_with(key, signer_of(log_seed));
    ASSERT_TRUE(life.writer->close());
  }
  const auto snapshot = make(400);
  const auto storage = open_log(disk);
  const Head head = *parse_head(**storage->read_small("head"));
  for (const std::uint64_t size : {1U, 7U, 256U, 300U, 400U}) {
    for (const bool right : {true, false}) {
      Frontier tree;
      ASSERT_TRUE(for_each_record(*storage, 0, [&](const RecordView& record) {
        if (record.seq < size) tree.append(record.leaf);
      }));
      const Checkpoint told{genesis.origin, size, right ? tree.root() : leaf_hash("other"), {}};
      const auto note = sign_checkpoint(told, key, signer_of(log_seed));
      for (const char* file : {"head", "cosigned"}) {
        const std::string text =
            file == std::string("head") ? to_text(Head{head.origin, head.mark, *note}) : *note;
        ASSERT_TRUE(storage->replace_small(file, text));
        const auto found = reopen(std::optional(*snapshot));
        ASSERT_EQ(found.has_value(), right) << size << " " << file;
        if (right) EXPECT_EQ(found->from, 400U) << size << " " << file;
        if (!right) EXPECT_EQ(found.error().message.code, "audit.log-other-root");
        ASSERT_TRUE(storage->replace_small("head", to_text(head)));
      }
      ASSERT_TRUE(storage->remove("cosigned"));
    }
  }
}

TEST_F(SnapshotTest, AMarkBelowItMustHold) {
  fill(600);
  const auto snapshot = make(600);
  const auto storage = open_log(disk);
  std::map<std::uint64_t, std::string> leaves;
  ASSERT_TRUE(for_each_record(*storage, 0, [&](const RecordView& record) {
    leaves[record.seq + 1] = to_hex(record.leaf);
  }));
  for (const std::uint64_t size : {1U, 255U, 256U, 257U, 511U, 512U, 513U, 599U, 600U}) {
    const auto good = reopen(std::optional(*snapshot), {size, leaves[size]});
    ASSERT_TRUE(good) << size;
    EXPECT_FALSE(good->refused) << size;
    const auto bad = reopen(std::optional(*snapshot), {size, leaves[size == 1 ? 2 : size - 1]});
    ASSERT_FALSE(bad) << size;
    EXPECT_EQ(bad.error().message.code, "audit.log-other") << size;
  }
}

TEST_F(SnapshotTest, WithoutTheHashesBelowItAllRecordsAreRead) {
  fill(700);
  const auto snapshot = make(700);
  const Files whole = files_of(disk);
  for (const char* name : {"L0", "L1"}) {
    Files files = whole;
    files.erase(name);
    put_files(disk, files);
    expect_refused(std::optional(*snapshot), "audit.snapshot-unfit");
    files = whole;
    files[name].resize(files[name].size() - (name[1] == '0' ? 257 * 32 : 32));
    put_files(disk, files);
    expect_refused(std::optional(*snapshot), "audit.snapshot-unfit");
  }
  // Another hash at the edge of the tree.
  Files files = whole;
  files["L1"][32] ^= 1;
  put_files(disk, files);
  expect_refused(std::optional(*snapshot), "audit.snapshot-unfit");
  // A start made them again.
  put_files(disk, whole);
  EXPECT_EQ(reopen(std::optional(*snapshot))->from, 700U);
}

TEST_F(SnapshotTest, ASegmentThatIsGoneIsSeen) {
  fill(900);
  const auto snapshot = make(900);
  Files files = files_of(disk);
  std::vector<std::string> segments;
  for (const auto& [name, bytes] : files) {
    if (segment_first_seq(name)) segments.push_back(name);
  }
  ASSERT_GT(segments.size(), 3U);
  const Bytes second = files[segments[1]];
  files.erase(segments[1]);
  put_files(disk, files);
  const auto found = reopen(std::optional(*snapshot));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().message.code, "audit.log-refused");
  // Or stands under another name.
  files[segment_name(*segment_first_seq(segments[1]) + 1)] = second;
  put_files(disk, files);
  const auto moved = reopen(std::optional(*snapshot));
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().message.code, "audit.log-refused");
}

TEST_F(SnapshotTest, DamageBehindItIsRefusedAsEver) {
  fill(600);
  const auto snapshot = make(frame_ends()[100]);
  ASSERT_LT(snapshot->at.size, 550U);
  const auto layout = this->layout();
  const auto& record = layout.records[snapshot->at.size + 20];
  Files files = files_of(disk);
  files[record.file][record.offset + 10] ^= 1;
  put_files(disk, files);
  const auto found = reopen(std::optional(*snapshot));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().message.code, "audit.log-refused");
}

// Whatever is cut, moved or changed in it: it is refused, and the records decide.
TEST_F(SnapshotTest, OneThatIsNotWholeIsRefused) {
  fill(300);
  const auto snapshot = make(300);
  ASSERT_TRUE(snapshot);
  ASSERT_EQ(snapshot->pieces.size(), 2U);
  const auto refuses = [this](Snapshot changed) {
    expect_refused(std::optional(std::move(changed)), "audit.snapshot-malformed");
  };
  refuses({snapshot->at, {}});
  for (std::size_t piece = 0; piece < 2; ++piece) {
    Snapshot changed = *snapshot;
    changed.pieces.erase(changed.pieces.begin() + static_cast<std::ptrdiff_t>(piece));
    refuses(changed);
    changed = *snapshot;
    changed.pieces[piece].part = "other";
    refuses(changed);
    changed = *snapshot;
    changed.pieces[piece].items.pop_back();
    refuses(changed);
    changed = *snapshot;
    changed.pieces[piece].items = "[7]";
    refuses(changed);
  }
  Snapshot changed = *snapshot;
  std::swap(changed.pieces[0], changed.pieces[1]);
  refuses(changed);
  changed = *snapshot;
  changed.pieces.push_back(changed.pieces[0]);
  refuses(changed);
  changed = *snapshot;
  changed.at.size = 299;
  refuses(changed);
  const Json log = Json::parse(snapshot->pieces[0].items);
  for (const auto& [name, value] : log[0].items()) {
    Json items = log;
    items[0].erase(name);
    changed = *snapshot;
    changed.pieces[0].items = items.dump();
    refuses(changed);
    items = log;
    items[0][name] = Json::object();
    changed.pieces[0].items = items.dump();
    refuses(changed);
  }
  for (const char* name : {"aseq", "leaf", "size", "agreement"}) {
    Json items = log;
    items[1][name] = 0;
    changed = *snapshot;
    changed.pieces[0].items = items.dump();
    refuses(changed);
  }
  Json twice = log;
  twice.push_back(twice[1]);
  changed = *snapshot;
  changed.pieces[0].items = twice.dump();
  refuses(changed);
}

// A snapshot that says something else of the log than its records do, in a form that is good: the
// records behind it find that out, and all of them decide.
TEST_F(SnapshotTest, AWrongSequenceOfAnAgreementIsFoundByTheNextRecord) {
  fill(600);
  const auto ends = frame_ends();
  Snapshot snapshot = *make(ends[ends.size() / 2]);
  Json log = Json::parse(snapshot.pieces[0].items);
  log[1]["aseq"] = log[1]["aseq"].get<std::uint64_t>() - 1;
  snapshot.pieces[0].items = log.dump();
  expect_refused(std::optional(snapshot), "audit.log-refused");
}

class SnapshotInStore : public ::testing::Test {
 protected:
  sim::World world{3};
  sim::Node node{world, "connector"};
  sim::StoreImage image;
  std::unique_ptr<sim::MemoryStore> store = std::make_unique<sim::MemoryStore>(node, image);

  void put(const Snapshot& snapshot) {
    auto transaction = replace_snapshot(*store, snapshot);
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(sim::await(node, store->commit(*std::move(transaction))));
  }
};

TEST_F(SnapshotInStore, ComesBackAsItWas) {
  ASSERT_TRUE(load_snapshot(*store));
  EXPECT_FALSE(*load_snapshot(*store));
  Snapshot snapshot{{7, std::string(64, 'a')}, {{"log", "[1]"}, {"types", "[]"}, {"types", "[2]"}}};
  put(snapshot);
  EXPECT_EQ(**load_snapshot(*store), snapshot);
  for (int i = 0; i < 200; ++i) snapshot.pieces.push_back({"types", "[3]"});
  put(snapshot);
  EXPECT_EQ(**load_snapshot(*store), snapshot);
  snapshot.pieces.resize(2);
  snapshot.at.size = 9;
  put(snapshot);
  EXPECT_EQ(**load_snapshot(*store), snapshot);
  EXPECT_EQ(image.rows.size(), 3U);
}

TEST_F(SnapshotInStore, RowsThatAreNotOneWholeSnapshotAreNone) {
  const Snapshot snapshot{
      {7, std::string(64, 'a')}, {{"log", "[1]"}, {"types", "[2]"}, {"types", "[3]"}}};
  put(snapshot);
  const sim::StoreImage good = image;
  const auto refuses = [&] {
    store = std::make_unique<sim::MemoryStore>(node, image);
    const auto found = load_snapshot(*store);
    image = good;
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().message.code, "audit.snapshot-malformed");
  };
  for (const auto& [key, row] : good.rows) {
    image.rows.erase(key);
    refuses();
    image.rows[key].body += " ";
    refuses();
    image.rows[key].owner += "x";
    if (key.second == "00000000") {
      image = good;  // row 0 belongs to no part, and says so by its place
    } else {
      refuses();
    }
  }
  auto head = Json::parse(good.rows.begin()->second.body);
  head["format"] = 2;
  image.rows.begin()->second.body = head.dump();
  refuses();
}

}  // namespace
}  // namespace tally::audit
