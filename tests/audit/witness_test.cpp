// The witness as a service: over a store and a log that forget what was not synced.
#include "tally/audit/witness.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <gtest/gtest.h>

#include "audit/station.hpp"
#include "audit/tree_reference.hpp"

namespace tally::audit {
namespace {

const PartyId lab{"north", "did:web:lab.example"};
const PartyId stranger{"north", "did:web:stranger.example"};
const std::string fair_origin = "fair.example/log";

// The log of the lab, and one that the operator named.
class Logs final : public WatchList {
 public:
  PartyId partner;  // whose the named one is
  [[nodiscard]] std::optional<Watched> find(std::string_view origin, const PartyId& from)
      const override {
    if (origin == known_origin && from == lab) return Watched{{log_key()}, lab};
    if (origin == fair_origin) return Watched{{key_of(fair_origin, third_seed)}, {}, partner};
    return std::nullopt;
  }
};

// Before the station that runs in it.
struct OwnWorld {
  explicit OwnWorld(std::uint64_t seed) : own(seed) {}
  sim::World own;
};

class WitnessService : public ::testing::Test, private OwnWorld, public Station {
 protected:
  explicit WitnessService(std::uint64_t seed = 1) : OwnWorld(seed), Station(own, "self") {}
  ~WitnessService() override { stop(); }
  void SetUp() override { start(); }
  void begin() override {
    witness = std::make_unique<Witness>(
        WitnessParts{*store, *journal, node->clock(), node->random(), logs},
        witness_key(),
        signer_of(witness_seed)
    );
  }
  void end() override { witness.reset(); }

  // What `log` posts: from `old_size` to `size` of the tree of `leaves`.
  static std::string request(
      const reference::Leaves& leaves,
      std::uint64_t old_size,
      std::uint64_t size,
      const std::string& origin = known_origin,
      const std::string& seed = log_seed
  ) {
    const Checkpoint checkpoint{origin, size, reference::root(leaves, 0, size), {}};
    const auto note = sign_checkpoint(checkpoint, key_of(origin, seed), signer_of(seed)).value();
    AddCheckpoint made;
    made.old_size = old_size;
    if (old_size > 0) made.proof = reference::subproof(leaves, old_size, 0, size, true);
    made.note = parse_note(note).value();
    made.checkpoint = checkpoint;
    return made.print();
  }
  Result<WitnessReply> post(const std::string& body, const PartyId& from = lab) {
    return sim::await(*node, witness->add_checkpoint(body, from));
  }
  Result<std::vector<Contradiction>> lift(
      std::vector<Digest> evidence, const std::string& origin = known_origin
  ) {
    return sim::await(
        *node,
        lift_contradictions(
            {*store, *journal, node->clock(), node->random()},
            {origin, std::move(evidence), "restored"}
        )
    );
  }
  int status(const std::string& body, const PartyId& from = lab) {
    const auto reply = post(body, from);
    return reply ? static_cast<int>(reply->answer.status) : 503;
  }
  std::optional<VerifiedCheckpoint> latest(
      const std::string& origin = known_origin, const PartyId& from = lab
  ) {
    const auto note = witness->checkpoint(to_hex(sha256(origin)), from);
    if (!note || !*note) return std::nullopt;
    const std::vector keys{
        key_of(origin, origin == known_origin ? log_seed : third_seed), witness_key()};
    auto verified = verify_checkpoint(**note, keys);
    EXPECT_TRUE(verified) << **note;
    return verified ? std::optional(*std::move(verified)) : std::nullopt;
  }
  Logs logs;
  std::unique_ptr<Witness> witness;
  const reference::Leaves leaves = reference::numbered_leaves(40);
  const reference::Leaves fork = [this] {
    auto other = leaves;
    other[6] = leaf_hash("another record");
    return other;
  }();
};

TEST_F(WitnessService, CosignsRemembersAndWritesItIntoItsOwnLog) {
  EXPECT_FALSE(latest());
  const auto first = post(request(leaves, 0, 5));
  ASSERT_TRUE(first);
  ASSERT_EQ(first->answer.status, WitnessStatus::cosigned);
  const auto note = latest();
  ASSERT_TRUE(note);
  EXPECT_EQ(note->checkpoint.size, 5U);
  ASSERT_EQ(note->good.size(), 2U);
  EXPECT_TRUE(note->good[1].cosignature());
  EXPECT_EQ(note->good[1].time, static_cast<std::uint64_t>(world.now().seconds));
  EXPECT_EQ(status(request(leaves, 5, 9)), 200);
  EXPECT_EQ(latest()->checkpoint.size, 9U);

  const auto found = records("checkpoint.witnessed");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[1].at("peer").at("origin"), known_origin);
  EXPECT_EQ(found[1].at("peer").at("size"), 9);
  EXPECT_EQ(found[1].at("peer").at("root"), digest_text(reference::root(leaves, 0, 9)));
  EXPECT_EQ(found[1].at("counterparty").at("uri"), lab.uri);
}

TEST_F(WitnessService, TheSameTreeAgainGetsALaterTimeAndNoSecondRecord) {
  ASSERT_EQ(status(request(leaves, 0, 5)), 200);
  const auto before = latest()->good[1].time;
  world.run_for(seconds(10));
  ASSERT_EQ(status(request(leaves, 5, 5)), 200);
  EXPECT_GE(latest()->good[1].time, before + 10);
  EXPECT_EQ(records("checkpoint.witnessed").size(), 1U);
  // A clock that was set back within its tolerance says no earlier time.
  node->clock().step(-seconds(60));
  const auto last = latest()->good[1].time;
  ASSERT_EQ(status(request(leaves, 5, 5)), 200);
  EXPECT_EQ(latest()->good[1].time, last);
}

TEST_F(WitnessService, AnswersEachStatusForItsReason) {
  EXPECT_EQ(status("rubbish"), 400);
  EXPECT_EQ(status(request(leaves, 0, 5), stranger), 404);
  EXPECT_EQ(status(request(leaves, 0, 5, "nobody.example/log", third_seed)), 404);
  EXPECT_EQ(status(request(leaves, 0, 5, known_origin, third_seed)), 403);
  ASSERT_EQ(status(request(leaves, 0, 5)), 200);
  EXPECT_EQ(status(request(leaves, 9, 12)), 409);
  const auto other = post(request(leaves, 0, 7));
  ASSERT_TRUE(other);
  EXPECT_EQ(other->answer.status, WitnessStatus::other_size);
  EXPECT_EQ(other->answer.body(), "5\n");
  EXPECT_EQ(status(request(fork, 5, 9)), 200);  // differs only behind
  EXPECT_EQ(status(request(leaves, 9, 12)), 422);
  EXPECT_EQ(latest()->checkpoint.size, 9U);
}

TEST_F(WitnessService, APartnersLogIsForItselfAloneAndANamedOneForAll) {
  ASSERT_EQ(status(request(leaves, 0, 5)), 200);
  EXPECT_FALSE(latest(known_origin, stranger));
  ASSERT_EQ(status(request(leaves, 0, 5, fair_origin, third_seed), stranger), 200);
  EXPECT_TRUE(latest(fair_origin, stranger));
  EXPECT_TRUE(latest(fair_origin, lab));
  EXPECT_EQ(latest(fair_origin, lab)->checkpoint.origin, fair_origin);
}

TEST_F(WitnessService, AWrongClockCosignsNothing) {
  node->clock().set_reliable(false);
  const auto reply = post(request(leaves, 0, 5));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().message.code, "audit.witness-clock");
  EXPECT_FALSE(latest());
}

// C2SP tlog-witness: two requests that were both good when they came, the older one written last,
// would roll the witness back. Over many orders of the two.
TEST(WitnessRace, TheOlderOfTwoRequestsIsNeverWrittenLast) {
  int both_orders = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    class Race : public WitnessService {
     public:
      explicit Race(std::uint64_t seed) : WitnessService(seed) {}
      void TestBody() override {}
      void run(int& newer_won) {
        start();
        ASSERT_EQ(status(request(leaves, 0, 3)), 200);
        std::vector<std::optional<Result<WitnessReply>>> replies(2);
        const std::vector<std::string> bodies{request(leaves, 3, 9), request(leaves, 3, 5)};
        auto ask = [](Witness* asked, std::string body, std::optional<Result<WitnessReply>>* out
                   ) -> awaitable<void> {
          out->emplace(co_await asked->add_checkpoint(std::move(body), lab));
        };
        const std::size_t first = world.chance().below(2);
        for (const std::size_t i : {first, 1 - first}) {
          boost::asio::co_spawn(
              node->executor(), ask(witness.get(), bodies[i], &replies[i]), boost::asio::detached
          );
        }
        ASSERT_TRUE(world.run_until([&] { return replies[0] && replies[1]; }));
        ASSERT_TRUE(*replies[0] && *replies[1]);
        const bool newer = (*replies[0])->answer.status == WitnessStatus::cosigned;
        const bool older = (*replies[1])->answer.status == WitnessStatus::cosigned;
        EXPECT_NE(newer, older) << "one proof began at a tree that was no longer the last";
        EXPECT_EQ(latest()->checkpoint.size, newer ? 9U : 5U);
        const auto& loser = (*replies[newer ? 1 : 0])->answer;
        EXPECT_EQ(loser.status, WitnessStatus::other_size);
        EXPECT_EQ(loser.size, newer ? 9U : 5U);
        EXPECT_EQ(records("checkpoint.witnessed").size(), 2U);
        newer_won += newer ? 1 : 0;
      }
    };
    Race race(seed);
    race.run(both_orders);
  }
  EXPECT_GT(both_orders, 0);
  EXPECT_LT(both_orders, 40);
}

// Whatever was answered is remembered, wherever the power goes.
TEST(WitnessPowerCut, WhatWasCosignedIsKnownAfterwards) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    class Cut : public WitnessService {
     public:
      explicit Cut(std::uint64_t seed) : WitnessService(seed) {}
      void TestBody() override {}
      void run() {
        start();
        std::uint64_t answered = 0;
        auto go_on = [](Witness* asked, const reference::Leaves* leaves, std::uint64_t* done
                     ) -> awaitable<void> {
          for (std::uint64_t size = 1; size < leaves->size(); ++size) {
            auto body = request(*leaves, *done, size);
            auto reply = co_await asked->add_checkpoint(std::move(body), lab);
            if (!reply || reply->answer.status != WitnessStatus::cosigned) co_return;
            *done = size;
          }
        };
        boost::asio::co_spawn(
            node->executor(), go_on(witness.get(), &leaves, &answered), boost::asio::detached
        );
        world.run_for(world.chance().span(0, milliseconds(120)));
        cut_power();
        start();
        const auto kept = latest();
        EXPECT_GE(kept ? kept->checkpoint.size : 0, answered) << world.where();
      }
    };
    Cut cut(seed);
    cut.run();
  }
}

TEST_F(WitnessService, TwoRootsOfOneSizeAreKeptAsProof) {
  ASSERT_EQ(status(request(leaves, 0, 9)), 200);
  const std::string first = witness->checkpoint(to_hex(sha256(known_origin)), lab)->value();
  // Also with another old size, where the answer says nothing of a contradiction.
  EXPECT_EQ(status(request(fork, 4, 9)), 409);
  const auto found = contradictions(*store, lab);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  const Contradiction& one = found->front();
  EXPECT_TRUE(one.proven);
  EXPECT_EQ(one.first, first);
  const std::vector keys{log_key()};
  const auto a = verify_checkpoint(one.first, keys);
  const auto b = verify_checkpoint(one.second, keys);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->checkpoint.size, b->checkpoint.size);
  EXPECT_NE(a->checkpoint.root, b->checkpoint.root);
  const auto record = records("equivocation.found");
  ASSERT_EQ(record.size(), 1U);
  EXPECT_EQ(record[0].at("notes").at(0), one.first);
  EXPECT_EQ(record[0].at("notes").at(1), one.second);
  EXPECT_EQ(record[0].at("counterparty").at("uri"), lab.uri);
  // Once is enough, and the log going on does not undo it.
  EXPECT_EQ(status(request(fork, 9, 9)), 422);
  EXPECT_EQ(records("equivocation.found").size(), 1U);
  ASSERT_EQ(status(request(leaves, 9, 12)), 200);
  EXPECT_EQ(contradictions(*store, lab)->size(), 1U);
  EXPECT_TRUE(contradictions(*store, stranger)->empty());
}

// Whoever brings a log that the operator named, it is its owner that answers for it.
TEST_F(WitnessService, AContradictionOfANamedLogStandsAgainstThePartnerWhoseItIs) {
  ASSERT_EQ(status(request(leaves, 0, 9, fair_origin, third_seed), stranger), 200);
  EXPECT_EQ(status(request(fork, 9, 9, fair_origin, third_seed), stranger), 422);
  // Nobody's here: it is kept, and stops no contract.
  EXPECT_TRUE(contradictions(*store, lab)->empty());
  EXPECT_TRUE(contradictions(*store, stranger)->empty());
  EXPECT_FALSE(records("equivocation.found")[0].contains("counterparty"));
  ASSERT_EQ(status(request(leaves, 9, 12, fair_origin, third_seed), stranger), 200);
  logs.partner = lab;
  EXPECT_EQ(status(request(fork, 12, 12, fair_origin, third_seed), stranger), 422);
  ASSERT_EQ(contradictions(*store, lab)->size(), 1U);
  EXPECT_TRUE(contradictions(*store, stranger)->empty());
  EXPECT_EQ(records("equivocation.found")[1].at("counterparty").at("uri"), lab.uri);
  // It goes on to be for everybody.
  EXPECT_EQ(latest(fair_origin, stranger)->checkpoint.size, 12U);
}

TEST_F(WitnessService, ATreeThatIsNotShownToContinueStandsAgainstItsOwnerUntilItIs) {
  ASSERT_EQ(status(request(leaves, 0, 9)), 200);
  auto garbled = parse_add_checkpoint(request(leaves, 9, 20)).value();
  garbled.proof[1][0] ^= 1;
  EXPECT_EQ(status(garbled.print()), 422);
  ASSERT_EQ(contradictions(*store, lab)->size(), 1U);
  EXPECT_FALSE(contradictions(*store, lab)->front().proven);
  EXPECT_EQ(status(request(fork, 9, 15)), 422);
  EXPECT_EQ(contradictions(*store, lab)->size(), 2U);
  EXPECT_EQ(status(request(leaves, 9, 20)), 200);
  ASSERT_EQ(contradictions(*store, lab)->size(), 1U);
  EXPECT_EQ(
      parse_checkpoint(parse_note(contradictions(*store, lab)->front().second)->text)->size, 15U
  );
}

// --- what an operator lifts ---

TEST_F(WitnessService, ALiftKeepsTheEvidenceAndIsRecordedWithAllThatItIsAbout) {
  ASSERT_EQ(status(request(leaves, 0, 9)), 200);
  EXPECT_EQ(status(request(fork, 9, 9)), 422);
  const Contradiction before = contradictions(*store, lab)->front();
  EXPECT_EQ(records("equivocation.found")[0].at("event"), before.event);
  const auto lifted = lift({before.evidence()});
  ASSERT_TRUE(lifted) << render(lifted.error().message, Lang::en);
  EXPECT_TRUE(contradictions(*store, lab)->empty());
  const auto kept = contradictions_of(*store, known_origin).value();
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(kept[0].first, before.first);
  EXPECT_EQ(kept[0].second, before.second);
  EXPECT_TRUE(kept[0].proven);
  EXPECT_EQ(kept[0].lifted->reason, "restored");

  const auto found = records("equivocation.found");
  const auto record = records("equivocation.lifted");
  ASSERT_EQ(record.size(), 1U);
  EXPECT_EQ(record[0].at("peer"), found[0].at("peer"));
  EXPECT_EQ(record[0].at("contents"), found[0].at("contents"));
  EXPECT_EQ(record[0].at("counterparty").at("uri"), lab.uri);
  EXPECT_EQ(record[0].at("reason"), "restored");

  // Over a power cut; and the same pair again is no news.
  cut_power();
  start();
  EXPECT_TRUE(contradictions(*store, lab)->empty());
  EXPECT_EQ(status(request(fork, 9, 9)), 422);
  EXPECT_TRUE(contradictions(*store, lab)->empty());
  // A new one stands again.
  ASSERT_EQ(status(request(leaves, 9, 12)), 200);
  EXPECT_EQ(status(request(fork, 12, 12)), 422);
  ASSERT_EQ(contradictions(*store, lab)->size(), 1U);
  EXPECT_EQ(records("equivocation.found").size(), 2U);
}

TEST_F(WitnessService, OnlyWhatWasNamedIsLiftedAndAllOfItOrNothing) {
  ASSERT_EQ(status(request(leaves, 0, 9)), 200);
  EXPECT_EQ(status(request(fork, 9, 9)), 422);
  const Digest seen = contradictions(*store, lab)->front().evidence();
  EXPECT_EQ(status(request(fork, 9, 15)), 422);  // comes after the operator looked
  const auto refused = lift({seen, leaf_hash("nothing")});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.code, "audit.no-contradiction");
  EXPECT_EQ(contradictions(*store, lab)->size(), 2U);
  EXPECT_TRUE(records("equivocation.lifted").empty());
  EXPECT_EQ(lift({seen}, fair_origin).error().message.code, "audit.no-contradiction");
  ASSERT_TRUE(lift({seen}));
  ASSERT_EQ(contradictions(*store, lab)->size(), 1U);
  EXPECT_NE(contradictions(*store, lab)->front().evidence(), seen);
  // Once.
  EXPECT_EQ(lift({seen}).error().message.code, "audit.no-contradiction");
}

TEST_F(WitnessService, WhatWasLiftedLeavesRoomForWhatComesNext) {
  ASSERT_EQ(status(request(leaves, 0, 9)), 200);
  for (std::uint64_t size = 10; size < 20; ++size) EXPECT_EQ(status(request(fork, 9, size)), 422);
  std::vector<Digest> all;
  const auto standing = contradictions(*store, lab).value();
  for (const auto& one : standing) all.push_back(one.evidence());
  ASSERT_EQ(all.size(), most_contradictions);
  const auto lifted = lift(all);
  ASSERT_TRUE(lifted) << render(lifted.error().message, Lang::en);
  EXPECT_TRUE(contradictions(*store, lab)->empty());
  EXPECT_EQ(records("equivocation.lifted").size(), most_contradictions);
  EXPECT_EQ(status(request(fork, 9, 30)), 422);
  EXPECT_EQ(contradictions(*store, lab)->size(), 1U);
}

TEST_F(WitnessService, WhatIsKeptOfEachLogIsSaid) {
  ASSERT_EQ(status(request(leaves, 0, 9)), 200);
  ASSERT_EQ(status(request(leaves, 0, 5, fair_origin, third_seed), stranger), 200);
  const auto logs = witnessed_logs(*store).value();
  ASSERT_EQ(logs.size(), 2U);
  const auto& ours = logs[0].origin == known_origin ? logs[0] : logs[1];
  EXPECT_EQ(ours.owner, lab);
  EXPECT_EQ(ours.size, 9U);
  EXPECT_EQ(ours.root, reference::root(leaves, 0, 9));
  EXPECT_EQ(ours.at.seconds, world.now().seconds);
}

TEST_F(WitnessService, AnUnsignedContradictionIsNobodys) {
  ASSERT_EQ(status(request(leaves, 0, 9)), 200);
  EXPECT_EQ(status(request(fork, 9, 9, known_origin, third_seed)), 403);
  EXPECT_TRUE(contradictions(*store, lab)->empty());
}

TEST_F(WitnessService, APeerCannotFillTheStoreWithContradictions) {
  ASSERT_EQ(status(request(leaves, 0, 9)), 200);
  for (std::uint64_t size = 10; size < 40; ++size) EXPECT_EQ(status(request(fork, 9, size)), 422);
  EXPECT_EQ(contradictions(*store, lab)->size(), 8U);
  EXPECT_EQ(records("equivocation.found").size(), 8U);
}

}  // namespace
}  // namespace tally::audit
