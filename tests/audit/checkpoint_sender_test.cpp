// A log and its witness over a simulated wire: what is cosigned, what is tried again, and what a
// log that was set back learns.
#include "tally/audit/checkpoint_sender.hpp"

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>

#include "tally/audit/milestones.hpp"
#include "tally/audit/witness.hpp"
#include "tally/core/task_group.hpp"

#include "audit/station.hpp"
#include "audit/tree_reference.hpp"
#include "sim/network.hpp"

namespace tally::audit {
namespace {

const PartyId lab{"north", "did:web:lab.example"};
const PartyId clinic{"north", "did:web:clinic.example"};
const std::string clinic_url = "https://clinic.example/tally/v1/witness";

// The log of the lab.
class Tree final : public CheckpointSource {
 public:
  Result<std::string> checkpoint() override {
    const Checkpoint checkpoint{known_origin, size, reference::root(leaves, 0, size), {}};
    return sign_checkpoint(checkpoint, key_of(known_origin, seed), signer_of(seed));
  }
  Result<Proof> consistency(std::uint64_t from, std::uint64_t to) override {
    if (from > to || to > size) return fail(ErrorKind::invalid, {"audit.proof-range", {}});
    return reference::subproof(leaves, from, 0, to, true);
  }
  Result<Digest> root(std::uint64_t of) override {
    if (of > size) return fail(ErrorKind::invalid, {"audit.proof-range", {}});
    return reference::root(leaves, 0, of);
  }
  Result<void> keep_cosigned(
      const Note& note, const std::function<bool(const Note& kept)>& is_better
  ) override {
    if (!kept || !is_better(*kept)) kept = note;
    return {};
  }
  Result<void> keep_proof(const ProofOfLoss& proof) override {
    proofs.push_back(proof);
    return {};
  }
  std::optional<Note> kept;
  std::vector<ProofOfLoss> proofs;
  reference::Leaves leaves = reference::numbered_leaves(60);
  std::uint64_t size = 5;
  std::string seed = log_seed;  // of the key that signs
};

class Clinic final : public Station, public WatchList {
 public:
  Clinic(sim::World& world, sim::SimNetwork& network)
      : Station(world, "clinic"), network_(network) {}
  ~Clinic() override { stop(); }
  [[nodiscard]] std::optional<Watched> find(std::string_view origin, const PartyId& from)
      const override {
    if (!watches || origin != known_origin || from != lab) return std::nullopt;
    return Watched{{log_key()}, lab};
  }
  bool watches = true;
  int lies = 0;  // a status that it answers to every add-checkpoint; 409: with a size beyond all
  bool names_no_size = false;  // its 422 is the 409 without a size of the standard
  std::unique_ptr<Witness> witness;

 protected:
  void begin() override {
    witness = std::make_unique<Witness>(
        WitnessParts{*store, *journal, node->clock(), node->random(), *this},
        witness_key(),
        signer_of(witness_seed)
    );
    network_.serve(
        *node,
        "https://clinic.example/",
        clinic,
        [this](HttpRequest request, PartyId caller) {
          return handle(std::move(request), std::move(caller));
        }
    );
  }
  void end() override { witness.reset(); }

 private:
  awaitable<HttpResponse> handle(HttpRequest request, PartyId caller) {
    HttpResponse response;
    if (request.method == "GET") {
      const auto path = parse_target(request.target)->path;
      const auto hash = path.at(3);
      if (path.back() == "rotations") {
        const auto notes = witness->rotations(hash, caller);
        response.status = notes && *notes ? 200 : 404;
        if (notes && *notes) response.body = **notes;
        co_return response;
      }
      const auto note = witness->checkpoint(hash, caller);
      response.status = note && *note ? 200 : 404;
      if (note && *note) response.body = **note;
      co_return response;
    }
    if (lies != 0) {
      response.status = lies;
      if (lies == 409) response.body = "1000\n";
      if (lies == 200) response.body = forged_line();
      co_return response;
    }
    if (request.target.ends_with("/rotations")) {
      const auto learned =
          co_await witness->learn_rotations(std::move(request.body), std::move(caller));
      response.status = learned ? 200 : 403;
      co_return response;
    }
    auto reply = co_await witness->add_checkpoint(std::move(request.body), std::move(caller));
    response.status = reply ? static_cast<int>(reply->answer.status) : 503;
    if (reply) response.body = reply->answer.body();
    if (names_no_size && response.status == 422) response.status = 409;
    co_return response;
  }
  static std::string forged_line() {
    return make_cosignature("x\n1\n", witness_key(), 5, signer_of(witness_seed))->line();
  }
  sim::SimNetwork& network_;
};

class Lab final : public Station {
 public:
  Lab(sim::World& world, sim::SimNetwork& network) : Station(world, "lab"), network_(network) {}
  ~Lab() override { stop(); }

  void run() { tasks->spawn("sender", sender->run()); }
  Cosigned state() const {
    const auto all = sender->cosigned().value();
    return all.empty() ? Cosigned{} : all.front();
  }

  Tree tree;
  bool knows_witness = true;
  Witnessing witnessing;
  int answered = 0;
  std::unique_ptr<TaskGroup> tasks;
  std::unique_ptr<Peer> peer;
  std::unique_ptr<CheckpointSender> sender;

 protected:
  void begin() override {
    tasks = std::make_unique<TaskGroup>(node->executor(), node->notices());
    peer = network_.peer(*node, lab);
    auto targets = [this]() -> std::vector<WitnessTarget> {
      if (!knows_witness) return {};
      return {{to_string(clinic), clinic, clinic_url, {witness_key()}}};
    };
    CheckpointSettings settings;
    settings.origin = known_origin;
    settings.log_keys = LogKeys(log_key());
    settings.missing_after = seconds(1200);
    sender = std::make_unique<CheckpointSender>(
        CheckpointSenderParts{
            *store,
            *journal,
            *peer,
            node->clock(),
            node->timers(),
            node->worker(),
            node->random(),
            *tasks,
            node->notices(),
            tree,
            std::move(targets),
            [this] { return log->heads_due(); },
            witnessing,
            [this] { ++answered; },
            limits},
        std::move(settings)
    );
  }
  void end() override {
    sender.reset();
    peer.reset();
    tasks.reset();
  }

 private:
  sim::SimNetwork& network_;
};

class Sender : public ::testing::Test {
 protected:
  void SetUp() override {
    witness.start();
    log.start();
  }
  std::uint64_t held() {
    const auto note = witness.witness->checkpoint(to_hex(sha256(known_origin)), lab);
    if (!note || !*note) return 0;
    return parse_checkpoint(parse_note(**note)->text)->size;
  }
  std::string ask() {
    const auto answer = sim::await(*log.node, log.sender->ask_first());
    if (!answer) return answer.error().message.code;
    return answer->empty() ? "good" : answer->front().uri;
  }

  sim::World world{1};
  sim::SimNetwork network{world};
  Clinic witness{world, network};
  Lab log{world, network};
};

TEST_F(Sender, HasEachMilestoneCosignedAndOtherwiseEveryHour) {
  log.run();
  world.run_for(seconds(5));
  EXPECT_EQ(held(), 5U);
  EXPECT_EQ(log.state().size, 5U);
  const std::vector keys{log_key(), witness_key()};
  const auto note = verify_checkpoint(log.state().note, keys);
  ASSERT_TRUE(note);
  EXPECT_EQ(note->good.size(), 2U);

  log.tree.size = 9;
  world.run_for(seconds(60));
  EXPECT_EQ(held(), 5U);
  log.sender->milestone();
  world.run_for(seconds(5));
  EXPECT_EQ(held(), 9U);
  log.tree.size = 20;
  world.run_for(seconds(3605));
  EXPECT_EQ(held(), 20U);
  EXPECT_EQ(witness.records("checkpoint.witnessed").size(), 3U);
  EXPECT_FALSE(log.sender->alarm());
}

TEST_F(Sender, SaysWhatEveryAgreementCameToBeforeACheckpointAndOnlyAfterAChange) {
  log.run();
  world.run_for(seconds(5));
  EXPECT_EQ(log.records("log.heads").size(), 1U);
  log.sender->milestone();
  world.run_for(seconds(3 * 3600 + 600));  // between two hourly ones
  EXPECT_EQ(log.records("log.heads").size(), 1U);

  log.log->enqueue(RecordDraft("log.heartbeat", new_event(log.node->random(), {1, 0})));
  world.run_for(seconds(60));
  EXPECT_EQ(log.records("log.heads").size(), 1U);
  log.sender->milestone();
  world.run_for(seconds(5));
  EXPECT_EQ(log.records("log.heads").size(), 2U);
  EXPECT_TRUE(log.records("log.heads").back().contains("root"));
}

TEST_F(Sender, GetsThroughABadWireAndPowerCutsOnBothSides) {
  network.faults.drop_request = network.faults.drop_answer = network.faults.double_request = 0.3;
  std::uint64_t last = 0;
  for (std::uint64_t size = 5; size <= 60; size += 5) {
    log.tree.size = size;
    log.run();
    world.run_for(world.chance().span(milliseconds(1), seconds(4)));
    if (world.chance().happens(0.5)) {
      witness.cut_power();
      witness.start();
    }
    EXPECT_GE(held(), last);
    EXPECT_GE(held(), log.state().size);
    last = held();
    log.cut_power();
    log.start();
  }
  log.run();
  world.run_for(seconds(600));
  EXPECT_EQ(held(), 60U);
  EXPECT_EQ(log.state().size, 60U);
  EXPECT_FALSE(log.sender->alarm());
  EXPECT_TRUE(contradictions(*witness.store, lab)->empty());
}

TEST_F(Sender, AClockThatDiffersFromTheWitnesssIsRecordedOnceEachWay) {
  log.run();
  world.run_for(seconds(5));
  EXPECT_TRUE(log.records("time.compared").empty());

  log.node->clock().step(seconds(1000));
  for (int i = 0; i < 3; ++i) {
    log.sender->milestone();
    world.run_for(seconds(5));
  }
  ASSERT_EQ(log.records("time.compared").size(), 1U);
  const Json apart = log.records("time.compared").front();
  EXPECT_EQ(apart.at("counterparty").at("uri"), clinic.uri);
  EXPECT_EQ(apart.at("apart"), true);
  EXPECT_NEAR(apart.at("seconds").get<double>(), -1000, 3);
  EXPECT_NEAR(static_cast<double>(log.sender->witnesses().value().front().apart), -1000, 3);

  // The machine comes back with its clock set right, and knows what it was.
  log.cut_power();
  log.start();
  log.run();
  log.sender->milestone();
  world.run_for(seconds(60));
  ASSERT_EQ(log.records("time.compared").size(), 2U);
  EXPECT_EQ(log.records("time.compared").back().at("apart"), false);
  EXPECT_EQ(log.sender->witnesses().value().front().apart, 0);
}

TEST_F(Sender, AWitnessThatStaysAwayIsMissedOnceAndTakenUpAgain) {
  log.run();
  world.run_for(seconds(5));
  network.part(lab, clinic);
  log.tree.size = 9;
  log.sender->milestone();
  world.run_for(seconds(1100));
  EXPECT_TRUE(log.records("witness.missing").empty());
  world.run_for(seconds(1800));
  const auto missing = log.records("witness.missing");
  ASSERT_EQ(missing.size(), 1U);
  EXPECT_EQ(missing[0].at("counterparty").at("uri"), clinic.uri);
  EXPECT_EQ(missing[0].at("size"), 5);
  EXPECT_TRUE(log.state().missing);
  auto stands = log.sender->witnesses().value();
  ASSERT_EQ(stands.size(), 1U);
  EXPECT_EQ(stands[0].target.url, clinic_url);
  EXPECT_TRUE(stands[0].cosigned.missing);
  EXPECT_EQ(
      format_seconds(*stands[0].cosigned.failing_since), missing[0].at("since").get<std::string>()
  );
  EXPECT_TRUE(stands[0].why);
  EXPECT_LT(stands[0].at->seconds, stands[0].cosigned.failing_since->seconds);
  network.join(lab, clinic);
  world.run_for(seconds(120));
  EXPECT_EQ(held(), 9U);
  EXPECT_FALSE(log.state().missing);
  stands = log.sender->witnesses().value();
  EXPECT_FALSE(stands[0].cosigned.failing_since || stands[0].why);
}

TEST_F(Sender, APartnerThatDoesNotYetKnowTheAgreementIsAskedAgain) {
  witness.watches = false;
  log.run();
  world.run_for(seconds(10));
  EXPECT_EQ(held(), 0U);
  witness.watches = true;
  world.run_for(seconds(70));
  EXPECT_EQ(held(), 5U);
}

TEST_F(Sender, WhatTheWitnessDidNotSignIsNotKept) {
  for (const int lie : {200, 409, 422, 500, 403}) {
    witness.lies = lie;
    log.run();
    world.run_for(seconds(20));
    EXPECT_EQ(log.state().size, 0U) << lie;
    // Nor does anybody's bare word stop this log.
    EXPECT_FALSE(log.sender->alarm()) << lie;
    log.stop();
    log.start();
  }
}

TEST_F(Sender, ALogThatWasSetBackIsToldSoByItsOwnSignature) {
  EXPECT_EQ(ask(), "good");
  log.run();
  log.tree.size = 40;
  world.run_for(seconds(5));
  ASSERT_EQ(held(), 40U);
  EXPECT_EQ(ask(), "good");
  log.stop();
  // Log and store come back together out of an old backup.
  log.image = {};
  log.disk = sim::SimDisk{world};
  log.tree.size = 30;
  log.start();
  EXPECT_EQ(ask(), "audit.log-behind");
  EXPECT_EQ(log.sender->alarm()->code, "audit.log-behind");
  // What shows it is kept, with the signature that counts.
  ASSERT_EQ(log.tree.proofs.size(), 1U);
  const auto shown = verify_checkpoint(log.tree.proofs.front().note, std::vector{log_key()});
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->checkpoint.size, 40U);
  // It went on from there: another log of the same name.
  log.stop();
  log.tree.leaves[35] = leaf_hash("another record");
  log.tree.size = 50;
  log.start();
  EXPECT_EQ(ask(), "audit.log-forked");
  log.stop();
  log.tree.leaves[35] = leaf_hash("35");
  log.start();
  EXPECT_EQ(ask(), "good");
}

TEST_F(Sender, AWitnessIsToldOfANewKeyBeforeTheNextCheckpoint) {
  log.run();
  world.run_for(seconds(5));
  ASSERT_EQ(held(), 5U);
  LogKeys keys(log_key());
  const auto next = key_of(known_origin, third_seed);
  const KeyRotation rotation{known_origin, log_key(), next, {1'800'000'000, 0}};
  const auto note = sign_rotation(rotation, signer_of(log_seed), signer_of(third_seed)).value();
  ASSERT_TRUE(keys.rotate(7, note));
  log.sender->rotated(std::move(keys));
  log.tree.size = 10;
  log.tree.seed = third_seed;
  world.run_for(seconds(5));
  EXPECT_EQ(held(), 10U);

  // Set back to before the new key: the witness shows it, signed by the key that is known here.
  log.stop();
  log.image = {};
  log.disk = sim::SimDisk{world};
  log.tree.seed = log_seed;
  log.tree.size = 6;
  log.start();
  EXPECT_EQ(ask(), "audit.log-behind");
  ASSERT_EQ(log.tree.proofs.size(), 1U);
  EXPECT_EQ(log.tree.proofs.front().rotations, std::vector{note});
}

TEST_F(Sender, ARunningLogThatWasSetBackLearnsIt) {
  log.run();
  log.tree.size = 40;
  world.run_for(seconds(5));
  log.stop();
  log.image = {};
  log.tree.size = 30;
  log.start();
  log.run();
  world.run_for(seconds(5));
  ASSERT_TRUE(log.sender->alarm());
  EXPECT_EQ(log.sender->alarm()->code, "audit.log-behind");
}

TEST_F(Sender, AForkOfTheSameSizeIsLearnedFromA409WithoutASizeToo) {
  witness.names_no_size = true;
  log.run();
  world.run_for(seconds(5));
  ASSERT_EQ(held(), 5U);
  log.tree.leaves[3] = leaf_hash("another record");
  log.sender->milestone();
  world.run_for(seconds(5));
  ASSERT_TRUE(log.sender->alarm());
  EXPECT_EQ(log.sender->alarm()->code, "audit.log-forked");
}

TEST_F(Sender, WhoCannotBeReachedDoesNotHoldUpAStart) {
  network.part(lab, clinic);
  const Instant before = world.now();
  EXPECT_EQ(ask(), clinic.uri);
  EXPECT_LE(world.now() - before, seconds(6));
  network.join(lab, clinic);
  EXPECT_EQ(ask(), "good");
  // One that refuses at once is not waited for.
  witness.stop();
  const Instant refused = world.now();
  EXPECT_EQ(ask(), clinic.uri);
  EXPECT_LE(world.now() - refused, seconds(1));
  log.knows_witness = false;
  EXPECT_EQ(ask(), "good");
}

TEST_F(Sender, WhoOwesAnAnswerIsAskedAgainUntilItGivesIt) {
  network.part(lab, clinic);
  EXPECT_EQ(ask(), clinic.uri);
  log.run();
  world.run_for(seconds(30));
  EXPECT_TRUE(log.sender->unasked(clinic));
  EXPECT_FALSE(log.sender->unasked({"north", "did:web:other.example"}));
  EXPECT_EQ(log.answered, 0);
  network.join(lab, clinic);
  world.run_for(seconds(120));
  EXPECT_FALSE(log.sender->unasked(clinic));
  EXPECT_EQ(log.answered, 1);
}

TEST_F(Sender, WhoIsNoWitnessAnyMoreOwesNoAnswer) {
  network.part(lab, clinic);
  EXPECT_EQ(ask(), clinic.uri);
  log.knows_witness = false;
  log.run();
  world.run_for(seconds(5));
  EXPECT_FALSE(log.sender->unasked(clinic));
}

TEST_F(Sender, StrictWaitsForTheLastMilestoneOfItsAgreement) {
  const auto missing = [&](const char* agreement) {
    return log.witnessing.missing(agreement, clinic);
  };
  const auto milestone = [&](const char* agreement, std::optional<std::uint64_t> size) {
    log.witnessing.queued(agreement, world.now());
    EXPECT_TRUE(missing(agreement)) << "not durable yet";
    log.witnessing.settled(agreement, size);
  };
  milestone("a", 5);
  ASSERT_TRUE(missing("a"));
  EXPECT_EQ(missing("a")->witnesses, clinic.uri);
  EXPECT_EQ(missing("a")->since, world.now());
  log.run();
  world.run_for(seconds(5));
  EXPECT_FALSE(missing("a"));
  // It is the other party that has to have cosigned.
  EXPECT_TRUE(log.witnessing.missing("a", {"north", "did:web:other.example"}));
  milestone("b", 9);
  EXPECT_TRUE(missing("b"));
  EXPECT_FALSE(missing("a"));
  // One that was not written changes nothing.
  milestone("a", std::nullopt);
  EXPECT_FALSE(missing("a"));
}

TEST_F(Sender, AQuorumSaysWhoHasToHaveCosigned) {
  const auto other = key_of("regulator.example", third_seed, cosignature_type);
  const std::string head = "log " + log_key().text() + "\nwitness clinic " + witness_key().text() +
                           "\nwitness regulator " + other.text() + "\n";
  log.run();
  world.run_for(seconds(5));
  const auto cosigned = log.state();
  for (const auto& [group, left] :
       std::vector<std::pair<std::string, std::string>>{{"any", ""}, {"all", "regulator"}}) {
    const auto policy =
        parse_log_policy(head + "group g " + group + " clinic regulator\nquorum g\n");
    ASSERT_TRUE(policy);
    Witnessing witnessing(*policy);
    witnessing.queued("a", world.now());
    witnessing.settled("a", 5);
    witnessing.cosigned(cosigned);
    const auto missing = witnessing.missing("a", clinic);
    EXPECT_EQ(missing ? missing->witnesses : "", left) << group;
    EXPECT_EQ(witnessing.makes_quorum(parse_note(cosigned.note).value()), left.empty());
  }
}

TEST_F(Sender, KeepsTheBestCosignedCheckpointForReaders) {
  log.run();
  world.run_for(seconds(5));
  ASSERT_TRUE(log.tree.kept);
  const std::vector keys{log_key(), witness_key()};
  const auto good = verify_checkpoint(log.tree.kept->print(), keys);
  ASSERT_TRUE(good);
  EXPECT_EQ(good->good.size(), 2U);
  log.tree.size = 9;
  log.sender->milestone();
  world.run_for(seconds(5));
  EXPECT_EQ(parse_checkpoint(log.tree.kept->text)->size, 9U);
}

TEST_F(Sender, ALogThatTakesNothingMoreClaimsNoHeads) {
  log.disk.fail_write(1, true);
  log.run();
  world.run_for(seconds(60));
  EXPECT_TRUE(log.log->failed());
  EXPECT_TRUE(log.records("log.heads").empty());
  EXPECT_FALSE(log.sender->alarm());
}

TEST_F(Sender, OnAFullDiskTheHeadsWaitForRoom) {
  log.disk.set_free(0);
  log.run();
  world.run_for(seconds(60));
  EXPECT_FALSE(log.log->failed());
  EXPECT_TRUE(log.records("log.heads").empty());
  log.disk.set_free(std::nullopt);
  log.sender->milestone();
  world.run_for(seconds(120));
  EXPECT_EQ(log.records("log.heads").size(), 1U);
}

TEST_F(Sender, MilestonesAreToldByTheLogItself) {
  int told = 0;
  MilestoneAppender appender(*log.log, log.witnessing, log.node->clock(), [&told] { ++told; });
  for (const char* type : {"log.heartbeat", "data.destroyed", "log.heads"}) {
    RecordDraft draft(type, new_event(log.node->random(), world.now()));
    (void)appender.enqueue(std::move(draft));
  }
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace tally::audit
