#include "tally/audit/pruning.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/audit/static_log.hpp"

#include "audit/known_keys.hpp"
#include "audit/log_fixture.hpp"
#include "log_format.hpp"
#include "segment_reader.hpp"

namespace tally::audit {
namespace {

// The records of each agreement.
class Counts final : public LogPart {
 public:
  std::map<std::string, std::uint64_t> counts;

  std::string_view part_name() const override { return "counts"; }
  Result<void> replay(const RecordView& record) override {
    if (!record.agreement.empty()) ++counts[record.agreement];
    return {};
  }
  void save(const Item& item) const override {
    for (const auto& [agreement, count] : counts) item({{"of", agreement}, {"count", count}});
  }
  Result<void> restore(const Json& item) override {
    counts[item["of"].get<std::string>()] = item["count"].get<std::uint64_t>();
    return {};
  }
};

class Parts final : public LogParts {
 public:
  std::vector<LogPart*> all() override { return {&counts}; }
  Counts counts;
};

std::unique_ptr<LogParts> make_parts() {
  return std::make_unique<Parts>();
}

// A log of several small segments whose agreements end one after another, a day each.
class PruningTest : public LogTest {
 protected:
  const VerifierKey key = key_of("clinic.example/log/1", log_seed);

  void SetUp() override {
    Genesis genesis = test_genesis();
    genesis.vkey = key.text();
    ASSERT_TRUE(create_log(*open_log(disk), genesis, clock, random));
  }

  // `agreements` of about one and a half segments each, from the number `first` on.
  void write(int first, int agreements, bool ending = true) {
    LogLife life = live();
    ASSERT_TRUE(life.writer) << render(life.error->message, Lang::en);
    life.writer->tree().sign_with(key, signer_of(log_seed));
    for (int i = first; i < first + agreements; ++i) {
      const std::string agreement = "urn:a:" + std::to_string(i);
      for (int n = 0; n < 240; ++n) {
        life.enqueue("use.permitted", agreement);
        if (n % 20 == 0) life.enqueue("log.heartbeat");
        life.writer->commit_batch();
      }
      if (ending) {
        RecordDraft draft("contract.terminated", new_event(random, clock.at));
        draft.about(AgreementId(agreement))
            .set("counterparty", PartyId{"south", "did:web:south.example"})
            .set("pid", "urn:p:1")
            .set("reason", Message{"x", {}});
        life.writer->enqueue(std::move(draft));
      }
      life.writer->commit_batch();
      clock.at = clock.at + seconds(86'400);
    }
    ASSERT_TRUE(life.writer->close());
  }
  RecordDraft contract(const std::string& agreement, const Json& retention) {
    RecordDraft draft("contract.finalized", new_event(random, clock.at));
    draft.about(AgreementId(agreement))
        .set("actor", PartyId{"north", "did:web:north.example"})
        .set("counterparty", PartyId{"south", "did:web:south.example"})
        .set("asset", "urn:asset:1")
        .set("pid", "urn:p:1")
        .set("policy", leaf_hash("policy"))
        .set("role", "provider")
        .set("assurance", "enforced")
        .set_json("signatures", Json::object())
        .set_json("statements", Json::object())
        .set_json("retention", retention);
    return draft;
  }
  std::vector<std::uint64_t> segments() {
    std::vector<std::uint64_t> found;
    const auto storage = open_log(disk);
    const auto listed = list_segments(*storage);
    for (const SegmentName& one : *listed) found.push_back(one.first_seq);
    return found;
  }
  Prunable find(Instant by, std::uint64_t below = UINT64_MAX) { return find(Term{by, 0}, below); }
  Prunable find(const Term& term, std::uint64_t below = UINT64_MAX) {
    auto found = find_prunable(*open_log(disk), term, below);
    if (!found) throw std::runtime_error(render(found.error().message, Lang::en));
    return *std::move(found);
  }
  // All that may go now.
  Prunable find() {
    const std::uint64_t size = live().writer->tree().size();
    return find(clock.at, size - size % tile_width);
  }
  // The steps of Pruning, one by one.
  Digest write_file(const Prunable& prunable) {
    Parts parts;
    auto written = write_pruned(*open_log(disk), prunable, parts);
    if (!written) throw std::runtime_error(render(written.error().message, Lang::en));
    return written->digest;
  }
  Pruned record(std::uint64_t from, std::uint64_t to, const Digest& digest) {
    LogLife life = live();
    Pruned pruned{from, to, *life.writer->tree().root(to), digest};
    RecordDraft draft("retention.pruned", new_event(random, clock.at));
    draft.set("from", from).set("to", to).set("root", pruned.root).set("snapshot", digest);
    auto ticket = life.writer->enqueue(std::move(draft));
    life.writer->commit_batch();
    EXPECT_TRUE(life.wait(std::move(ticket)));
    life.writer->tree().sign_with(key, signer_of(log_seed));
    EXPECT_TRUE(life.writer->close());
    return pruned;
  }
  void remove(const Pruned& pruned) {
    LogLife life = live();
    ASSERT_TRUE(life.writer) << render(life.error->message, Lang::en);
    const auto removed = remove_pruned(*life.storage, life.writer->tree(), pruned);
    ASSERT_TRUE(removed) << render(removed.error().message, Lang::en);
  }
  Pruned prune() {
    const auto found = find();
    const Pruned pruned = record(segments().front(), found.to, write_file(found));
    remove(pruned);
    return pruned;
  }
  Result<Reopened> reopen(const Result<std::optional<Snapshot>>& snapshot = {}) {
    const auto storage = open_log(disk);
    return reopen_log(*storage, {}, snapshot, make_parts);
  }
  static const std::map<std::string, std::uint64_t>& counts_of(const Reopened& log) {
    return static_cast<Parts&>(*log.parts).counts.counts;
  }
  void expect_finding(const std::string& code, const std::string& file) {
    const auto report = verify();
    ASSERT_TRUE(report.finding);
    EXPECT_EQ(report.verdict, Verdict::changed);
    EXPECT_EQ(report.finding->message.code, code) << describe(report);
    EXPECT_EQ(report.finding->file, file);
  }
  void expect_refused(const std::string& code) {
    const auto found = reopen();
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().message.code, code) << render(found.error().message, Lang::en);
  }
};

TEST_F(PruningTest, OnlyWhatHasEndedAndIsPastItsTermGoes) {
  write(0, 3);
  write(3, 1, false);
  write(4, 3);
  const auto begins = segments();
  ASSERT_GT(begins.size(), 6U);
  // Agreement 3 is open: the segment where it begins stays, however old it is.
  const auto found = find(clock.at);
  EXPECT_EQ(found.why.code, "audit.prune-open");
  EXPECT_EQ(found.why.params.at("agreement"), "urn:a:3");
  EXPECT_GT(found.to, 2U * 250U);
  EXPECT_LT(found.to, 3U * 260U);
  ASSERT_EQ(found.records.size(), 1U);  // the genesis
  // Of yesterday is too young, and an agreement that ended after the term counts as open.
  EXPECT_EQ(find(Instant{1'772'352'000, 0} + -seconds(1)).to, 0U);
  const auto early = find(Instant{1'772'352'000, 0} + seconds(86'400) + -seconds(1));
  EXPECT_EQ(early.to, begins[1]);
  // Nothing above the bound, and never the last segment.
  EXPECT_EQ(find(clock.at, begins[2] - 1).to, begins[1]);
  EXPECT_EQ(find(clock.at, begins[2] - 1).why.code, "audit.prune-not-covered");
}

// An agreement whose policy wants its records kept two years behind its end, and 30 days.
TEST_F(PruningTest, WhatAPolicyWantsKeptStays) {
  {
    LogLife life = live();
    life.writer->enqueue(contract("urn:a:1", Json{"P30D", "P2Y"}));
    life.writer->commit_batch();
    ASSERT_TRUE(life.writer->close());
  }
  const Instant ended = clock.at + seconds(86'400);  // that of agreement 1
  write(0, 4);
  // The term of the log is over for all of them.
  const auto all = find(Term{clock.at, 0});
  EXPECT_EQ(all.to, 0U);
  EXPECT_EQ(all.why.code, "audit.prune-retention");
  EXPECT_EQ(all.why.params.at("agreement"), "urn:a:1");
  EXPECT_EQ(all.why.params.at("retention"), "P2Y");
  // A second before and at the end of the two years: the calendar's.
  const Instant over = add(ended, XsdDuration{24, 0, 0});
  EXPECT_EQ(find(Term{over + -milliseconds(2000), 0}).to, 0U);
  EXPECT_GT(find(Term{over + seconds(2), 0}).to, 0U);
  // The longer one counts, of the policy or of the log.
  const auto young = find(Term{over + seconds(2), seconds(3L * 366 * 86'400)});
  EXPECT_EQ(young.to, 0U);
  EXPECT_EQ(young.why.code, "audit.prune-young");
}

TEST_F(PruningTest, NothingGoesByAClockThatIsNotToBeBelieved) {
  write(0, 3);
  EXPECT_GT(find(Term{clock.at, 0, true}).to, 0U);
  const auto found = find(Term{clock.at, 0, false});
  EXPECT_EQ(found.to, 0U);
  EXPECT_EQ(found.why.code, "audit.prune-clock");
}

// What nobody can read asks to keep records for ever.
TEST_F(PruningTest, ATermThatCannotBeReadKeeps) {
  {
    LogLife life = live();
    life.writer->enqueue(contract("urn:a:0", Json::array({"a while"})));
    life.writer->commit_batch();
    ASSERT_TRUE(life.writer->close());
  }
  write(0, 2);
  EXPECT_EQ(
      find(Term{clock.at + seconds(100L * 366 * 86'400), 0}).why.code, "audit.prune-retention"
  );
}

TEST_F(PruningTest, APrunedLogOpensGoesOnAndVerifies) {
  write(0, 4);
  const auto whole = reopen();
  ASSERT_TRUE(whole);
  // A proof of an old record, from before.
  const auto proven = prove_record(*open_log(disk), 17);
  ASSERT_TRUE(proven);
  const Pruned pruned = prune();
  EXPECT_EQ(segments().front(), pruned.to);
  EXPECT_GT(pruned.to, 0U);
  const auto found = reopen();
  ASSERT_TRUE(found) << render(found.error().message, Lang::en);
  EXPECT_EQ(found->from, pruned.to);
  EXPECT_EQ(counts_of(*found), counts_of(*whole));
  EXPECT_EQ(found->recovered.agreements, whole->recovered.agreements);
  EXPECT_EQ(found->recovered.size, whole->recovered.size + 1);
  EXPECT_EQ(found->recovered.pruned, pruned);
  auto report = verify();
  EXPECT_EQ(report.verdict, Verdict::whole) << describe(report);
  EXPECT_EQ(report.pruned, pruned.to);
  EXPECT_EQ(report.genesis->origin, "clinic.example/log/1");
  EXPECT_EQ(verify_log(*open_log(disk), Depth::deep).verdict, Verdict::whole);

  // It goes on, proves what is gone, and says that it is gone.
  write(4, 3);
  report = verify();
  EXPECT_EQ(report.verdict, Verdict::whole) << describe(report);
  {
    LogLife life = live();
    const LogTree& tree = life.writer->tree();
    EXPECT_TRUE(tree.inclusion_proof(17, tree.size()));
    EXPECT_TRUE(tree.consistency_proof(200, tree.size()));
    EXPECT_EQ(*tree.root(pruned.to), pruned.root);
    EXPECT_TRUE(tree.tile({false, 0, 0, tile_width}));
    const auto gone = tree.tile({true, 0, 0, tile_width});
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().kind, ErrorKind::not_found);
    EXPECT_EQ(gone.error().message.code, "audit.entries-pruned");
    const std::uint64_t there = pruned.to / tile_width + 1;
    EXPECT_TRUE(tree.tile({true, 0, there, tile_width}));
  }
  // And is pruned again, from where it begins now.
  const Pruned again = prune();
  EXPECT_EQ(again.from, pruned.to);
  EXPECT_GT(again.to, pruned.to);
  EXPECT_FALSE(disk.exists("log/" + pruned_file(pruned.to)));
  report = verify();
  EXPECT_EQ(report.verdict, Verdict::whole) << describe(report);
  EXPECT_EQ(report.pruned, again.to);
  ASSERT_TRUE(reopen());
}

TEST_F(PruningTest, TheStoresSnapshotIsTakenWhereItFits) {
  write(0, 4);
  const auto found = find();
  const Pruned pruned = record(0, found.to, write_file(found));
  Parts parts;
  const std::uint64_t size = reopen()->recovered.size;
  const auto snapshot = make_snapshot(*open_log(disk), nullptr, size, parts);
  ASSERT_TRUE(snapshot);
  remove(pruned);
  const auto reopened = reopen(std::optional(*snapshot));
  ASSERT_TRUE(reopened);
  EXPECT_FALSE(reopened->refused);
  EXPECT_EQ(reopened->from, size);
  // Led on from the file, the records lead to the same.
  Parts fresh;
  const auto again = make_snapshot(*open_log(disk), nullptr, size, fresh);
  ASSERT_TRUE(again) << render(again.error().message, Lang::en);
  EXPECT_EQ(*again, *snapshot);
}

// At each step the log opens, verifies and is brought to its end.
TEST_F(PruningTest, ACrashAtAnyStepIsFinished) {
  write(0, 4);
  const auto found = find();
  const Digest digest = write_file(found);
  const auto check = [&](const std::optional<Pruned>& pruned, const std::string& step) {
    const auto report = verify();
    EXPECT_EQ(report.verdict, Verdict::whole) << step << ": " << describe(report);
    const auto reopened = reopen();
    ASSERT_TRUE(reopened) << step << ": " << render(reopened.error().message, Lang::en);
    EXPECT_EQ(reopened->recovered.pruned, pruned) << step;
  };
  check(std::nullopt, "file");
  const Files unrecorded = files_of(disk);
  {
    LogLife life = live();
    ASSERT_TRUE(remove_pruned(*life.storage, life.writer->tree(), std::nullopt));
  }
  EXPECT_FALSE(disk.exists("log/" + pruned_file(found.to)));
  check(std::nullopt, "no file");
  put_files(disk, unrecorded);
  const Pruned pruned = record(0, found.to, digest);
  check(pruned, "record");
  const Files recorded = files_of(disk);
  const auto begins = segments();
  std::size_t gone = 0;
  for (; begins[gone] < pruned.to; ++gone) {
    put_files(disk, recorded);
    for (std::size_t i = 0; i <= gone; ++i) {
      ASSERT_TRUE(open_log(disk)->remove(segment_name(begins[i])));
    }
    check(pruned, "segment " + std::to_string(gone));
    remove(pruned);
    EXPECT_EQ(segments().front(), pruned.to);
    check(pruned, "finished " + std::to_string(gone));
  }
  EXPECT_GT(gone, 2U);
}

TEST_F(PruningTest, NothingGoesThatIsNotCovered) {
  write(0, 4);
  const auto found = find();
  const Pruned pruned = record(0, found.to, write_file(found));
  const Files files = files_of(disk);
  const auto refuse = [&](const std::string& code) {
    auto storage = open_log(disk);
    auto recovered = recover(*storage, {});
    Result<void> removed;
    if (recovered) {
      LogWriter writer(*storage, *std::move(recovered), clock, random, limits);
      removed = remove_pruned(*storage, writer.tree(), pruned);
    } else {
      removed = tl::unexpected(recovered.error());
    }
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().message.code, code);
    EXPECT_EQ(segments().front(), 0U);
    storage.reset();
    put_files(disk, files);
  };
  auto changed = *disk.contents("log/" + pruned_file(pruned.to));
  changed[changed.size() - 5] ^= 1;
  disk.overwrite("log/" + pruned_file(pruned.to), changed);
  refuse("audit.pruned-malformed");
  ASSERT_TRUE(disk.remove("log/" + pruned_file(pruned.to)));
  refuse("audit.pruned-absent");
  {
    LogLife life = live();
    Pruned other = pruned;
    other.root = leaf_hash("other");
    EXPECT_FALSE(remove_pruned(*life.storage, life.writer->tree(), other));
    other = pruned;
    other.snapshot = leaf_hash("other");
    EXPECT_FALSE(remove_pruned(*life.storage, life.writer->tree(), other));
  }
  EXPECT_EQ(segments().front(), 0U);
}

TEST_F(PruningTest, WhatNoRecordPrunesIsMissing) {
  write(0, 4);
  const auto begins = segments();
  const Files whole = files_of(disk);
  // A segment by hand, without anything.
  ASSERT_TRUE(open_log(disk)->remove(segment_name(0)));
  expect_finding("audit.pruned-absent", pruned_file(begins[1]));
  expect_refused("audit.pruned-absent");
  // With a file that leads there, and no record of it.
  put_files(disk, whole);
  Prunable prunable = find();
  write_file(prunable);
  for (const std::uint64_t first : begins) {
    if (first < prunable.to) ASSERT_TRUE(open_log(disk)->remove(segment_name(first)));
  }
  expect_finding("audit.pruned-unrecorded", segment_name(prunable.to));
  expect_refused("audit.pruned-unrecorded");
  // More than was pruned.
  put_files(disk, whole);
  const Pruned pruned = prune();
  const auto left = segments();
  ASSERT_TRUE(open_log(disk)->remove(segment_name(left[0])));
  expect_finding("audit.pruned-absent", pruned_file(left[1]));
  expect_refused("audit.pruned-absent");
  EXPECT_EQ(left[0], pruned.to);
}

TEST_F(PruningTest, AChangedOrMissingSnapshotFileIsSeen) {
  write(0, 4);
  const Pruned pruned = prune();
  const std::string name = pruned_file(pruned.to);
  const Bytes good = *disk.contents("log/" + name);
  const Files files = files_of(disk);
  ASSERT_TRUE(disk.remove("log/" + name));
  expect_finding("audit.pruned-absent", name);
  expect_refused("audit.pruned-absent");
  put_files(disk, files);
  // One byte somewhere.
  for (std::size_t at = 0; at < good.size(); at += 37) {
    Bytes changed = good;
    changed[at] ^= 1;
    disk.overwrite("log/" + name, changed);
    const auto report = verify();
    ASSERT_TRUE(report.finding) << at;
    EXPECT_EQ(report.verdict, Verdict::changed) << at << describe(report);
    EXPECT_EQ(report.finding->file, name) << at << ": " << describe(report);
    EXPECT_FALSE(reopen()) << at;
  }
  // Whoever makes the digests right again has the record against them.
  auto read = read_pruned(*open_log(disk), pruned.to);
  EXPECT_FALSE(read);
  put_files(disk, files);
  read = read_pruned(*open_log(disk), pruned.to);
  ASSERT_TRUE(read);
  for (const auto& [was, is] : std::map<std::string, std::string>{
           {R"("count":241)", R"("count":240)"}, {R"("aseq":241)", R"("aseq":240)"}}) {
    Snapshot changed = read->snapshot;
    bool found = false;
    for (SnapshotPiece& piece : changed.pieces) {
      const auto at = piece.items.find(was);
      if (at == std::string::npos) continue;
      piece.items.replace(at, was.size(), is);
      found = true;
    }
    ASSERT_TRUE(found) << was;
    disk.overwrite("log/" + name, [&] {
      const std::string text = to_text(changed, read->records);
      return Bytes(text.begin(), text.end());
    }());
    expect_finding("audit.pruned-changed", name);
    expect_refused("audit.pruned-changed");
  }
  // The hashes of what is gone, too.
  put_files(disk, files);
  Bytes leaves = *disk.contents("log/L0");
  leaves[40 * sizeof(Digest)] ^= 1;
  disk.overwrite("log/L0", leaves);
  expect_finding("audit.pruned-hashes", "L0");
}

}  // namespace
}  // namespace tally::audit
