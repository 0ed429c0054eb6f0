// How a message reaches its peer, and when it is given up: a scripted peer, a scripted owner.
#include "tally/negotiation/delivery.hpp"

#include <deque>
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tally/core/task_group.hpp"
#include "tally/negotiation/attempts.hpp"

#include "sim/memory_store.hpp"
#include "sim/node.hpp"

namespace tally::negotiation {
namespace {

const PartyId party{"health", "did:web:hospital.example"};

class ScriptedPeer final : public Peer {
 public:
  explicit ScriptedPeer(sim::Node& on) : node(on) {}
  awaitable<Result<PeerAnswer>> send(PeerRequest request) override {
    log.emplace_back(node.clock().read().at, request.http.method + " " + request.url);
    patience.push_back(request.answer_within);
    co_await node.timers().sleep_for(milliseconds(5));
    auto& script = answers[request.http.method];
    if (script.empty()) co_return PeerAnswer{200, {}, {}};
    const auto [status, body] = script.front();
    if (script.size() > 1) script.pop_front();
    const Message cut{"net.peer-unreachable", {}};
    if (status == 0) co_return fail(ErrorKind::unavailable, cut);
    co_return PeerAnswer{status, {}, body};
  }
  awaitable<Result<PeerStream>> open(PeerRequest) override {
    const Message none{"net.peer-unreachable", {}};
    co_return fail(ErrorKind::unavailable, none);
  }
  sim::Node& node;
  // By method; the last one stays.
  std::map<std::string, std::deque<std::pair<int, std::string>>> answers;
  std::vector<std::pair<Instant, std::string>> log;
  std::vector<Nanos> patience;  // of each request
};

class Owner final : public ProcessOwner {
 public:
  awaitable<Result<void>> on_delivered(OutgoingMessage message, std::string body) override {
    settled.push_back(message.id + " delivered " + body);
    co_return Result<void>{};
  }
  awaitable<Result<void>> on_refused(OutgoingMessage message, Refused refused) override {
    const char* words[] = {"refused", "diverged", "expired"};
    settled.push_back(
        message.id + " " + words[static_cast<int>(refused.why)] + " " +
        std::to_string(refused.status)
    );
    co_return Result<void>{};
  }
  std::string state_url(const OutgoingMessage&) override { return url; }
  Standing compare(const OutgoingMessage&, const std::string& state) override {
    if (state == "there") return Standing::delivered;
    return state == "before" ? Standing::unchanged : Standing::elsewhere;
  }
  [[nodiscard]] std::optional<Nanos> deadline() const override { return limit; }
  std::string url = "https://hospital.example/state";
  std::optional<Nanos> limit = seconds(24L * 3600);
  std::vector<std::string> settled;
};

struct Rig {
  Rig() { delivery.serve("negotiation", owner); }
  ~Rig() { node.power_off(); }

  OutgoingMessage message(const std::string& id, const std::string& process = "p") {
    OutgoingMessage out;
    out.id = id;
    out.process = process_key("negotiation", process);
    out.to = party;
    out.method = "POST";
    out.url = "https://hospital.example/" + id;
    out.body = "{}";
    out.created = out.next_attempt = node.clock().read().at;
    return out;
  }

  sim::World world{1};
  sim::Node node{world, "node"};
  sim::StoreImage image;
  sim::MemoryStore store{node, image};
  TaskGroup tasks{node.executor(), node.notices()};
  ScriptedPeer peer{node};
  Owner owner;
  Limits limits;
  Delivery delivery{store, peer, node.clock(), node.timers(), tasks, node.notices(), limits};
};

TEST(Delivery, RetriesWithDoublingPausesUpToTheLimit) {
  Rig rig;
  rig.peer.answers["POST"] = {{0, ""}};
  rig.delivery.queue({rig.message("m")});
  rig.world.run_for(seconds(600));
  ASSERT_GE(rig.peer.log.size(), 10U);
  Nanos expected = rig.limits.retry_first;
  for (std::size_t n = 1; n < 10; ++n) {
    const Nanos pause = rig.peer.log[n].first - rig.peer.log[n - 1].first;
    EXPECT_NEAR(static_cast<double>(pause), static_cast<double>(expected), 2e7) << n;
    expected = std::min(expected * 2, rig.limits.retry_most);
  }
  EXPECT_TRUE(rig.owner.settled.empty());
}

TEST(Delivery, WhatPassesIsTriedAgain) {
  for (const int status : {404, 408, 429, 500, 503}) {
    Rig rig;
    rig.peer.answers["POST"] = {{status, ""}, {status, ""}, {200, "ok"}};
    rig.delivery.queue({rig.message("m")});
    rig.world.run_for(seconds(10));
    EXPECT_EQ(rig.owner.settled, std::vector<std::string>{"m delivered ok"}) << status;
    EXPECT_EQ(rig.peer.log.size(), 3U);
  }
}

TEST(Delivery, AnySuccessWillDoAndNoAnswerIsWaitedForLong) {
  for (const int status : {200, 201, 202, 204, 299}) {
    Rig rig;
    rig.peer.answers["POST"] = {{0, ""}, {status, ""}};
    rig.delivery.queue({rig.message("m")});
    rig.world.run_for(seconds(10));
    EXPECT_EQ(rig.owner.settled, std::vector<std::string>{"m delivered "}) << status;
    EXPECT_EQ(rig.peer.patience, std::vector<Nanos>(2, rig.limits.message_answer));
  }
}

TEST(Delivery, AsksForThePeersStateBeforeItBelievesARefusal) {
  const std::map<std::string, std::string> table = {
      {"there", "m delivered "},
      {"gone", "m diverged 400"},
  };
  for (const int status : {400, 409, 403, 422}) {
    for (const auto& [state, outcome] : table) {
      Rig rig;
      rig.peer.answers["POST"] = {{status, ""}};
      rig.peer.answers["GET"] = {{200, state}};
      rig.delivery.queue({rig.message("m")});
      rig.world.run_for(seconds(1));
      ASSERT_EQ(rig.owner.settled.size(), 1U);
      const auto expected = state == "there" ? outcome : "m diverged " + std::to_string(status);
      EXPECT_EQ(rig.owner.settled.front(), expected);
    }
  }
}

TEST(Delivery, AMessageThatCameTooEarlyIsSentAgain) {
  Rig rig;
  rig.peer.answers["POST"] = {{409, ""}, {409, ""}, {200, "ok"}};
  rig.peer.answers["GET"] = {{200, "before"}};
  rig.delivery.queue({rig.message("m")});
  rig.world.run_for(seconds(10));
  EXPECT_EQ(rig.owner.settled, std::vector<std::string>{"m delivered ok"});
}

TEST(Delivery, AQuestionThatFailsMeansAgain) {
  Rig rig;
  rig.peer.answers["POST"] = {{400, ""}};
  rig.peer.answers["GET"] = {{0, ""}, {503, ""}, {200, "gone"}};
  rig.delivery.queue({rig.message("m")});
  rig.world.run_for(seconds(10));
  EXPECT_EQ(rig.owner.settled, std::vector<std::string>{"m diverged 400"});
}

TEST(Delivery, ARefusalStandsWhereThereIsNoStateToAskFor) {
  Rig rig;
  rig.owner.url.clear();
  rig.peer.answers["POST"] = {{400, "no"}};
  rig.delivery.queue({rig.message("m")});
  rig.world.run_for(seconds(1));
  EXPECT_EQ(rig.owner.settled, std::vector<std::string>{"m refused 400"});
}

TEST(Delivery, GivesUpAtTheDeadlineAndNeverWithoutOne) {
  Rig rig;
  rig.peer.answers["POST"] = {{0, ""}};
  rig.delivery.queue({rig.message("m")});
  rig.world.run_for(seconds(24 * 3600 - 60));
  EXPECT_TRUE(rig.owner.settled.empty());
  rig.world.run_for(seconds(180));
  EXPECT_EQ(rig.owner.settled, std::vector<std::string>{"m expired 0"});

  Rig patient;
  patient.owner.limit.reset();
  patient.peer.answers["POST"] = {{0, ""}};
  patient.delivery.queue({patient.message("m")});
  patient.world.run_for(seconds(5L * 24 * 3600));
  EXPECT_TRUE(patient.owner.settled.empty());
}

TEST(Delivery, KeepsEachAttemptThatFailedWithItsAnswer) {
  Rig rig;
  rig.peer.answers["POST"] = {
      {0, ""}, {503, R"({"reason": ["log full"]})"}, {400, "no JSON"}, {200, ""}};
  rig.peer.answers["GET"] = {{200, "before"}};
  rig.delivery.queue({rig.message("m"), rig.message("at-once")});
  rig.world.run_for(seconds(60));
  ASSERT_EQ(rig.owner.settled.size(), 2U);
  const auto kept = Attempts::of(rig.store, "m").to_json();
  std::vector<std::string> answers;
  for (const auto& one : kept.at("first")) answers.push_back(one.at("answer"));
  EXPECT_EQ(
      answers, (std::vector<std::string>{"net.peer-unreachable", "503 log full", "400", "200"})
  );
  EXPECT_EQ(Attempts::of(rig.store, "at-once").count(), 0U);  // its process says so
}

TEST(Delivery, KeepsTheFirstFewAttemptsAndTheLastTwenty) {
  Rig rig;
  rig.peer.answers["POST"] = {{0, ""}};
  rig.delivery.queue({rig.message("m")});
  rig.world.run_for(seconds(24L * 3600 - 60));
  const auto kept = Attempts::of(rig.store, "m");
  EXPECT_GT(kept.count(), 1000U);
  EXPECT_EQ(kept.to_json().at("first").size(), Attempts::first_kept);
  EXPECT_EQ(kept.to_json().at("last").size(), Attempts::last_kept);
  const auto given_up = not_delivered("test.given-up", rig.store, rig.message("m"));
  EXPECT_EQ(given_up.params.at("message"), "net.peer-unreachable");
  EXPECT_EQ(given_up.params.at("peer"), party.uri);
}

TEST(Delivery, KeepsTheOrderOfOneProcessAndHoldsUpNoOther) {
  Rig rig;
  rig.peer.answers["POST"] = {{0, ""}, {0, ""}, {200, ""}};
  rig.delivery.queue({rig.message("a1"), rig.message("a2"), rig.message("b1", "q")});
  rig.world.run_for(seconds(10));
  ASSERT_EQ(rig.owner.settled.size(), 3U);
  const auto at = [&](const std::string& id) {
    return std::find(rig.owner.settled.begin(), rig.owner.settled.end(), id + " delivered ") -
           rig.owner.settled.begin();
  };
  EXPECT_LT(at("a1"), at("a2"));
}

TEST(Delivery, AMessageThatIsDroppedIsNotSentAgainAndHoldsUpNothing) {
  Rig rig;
  rig.peer.answers["POST"] = {{0, ""}};
  rig.delivery.queue({rig.message("m")});
  rig.world.run_for(seconds(200));
  rig.delivery.drop(process_key("negotiation", "p"), "m");
  rig.peer.answers["POST"] = {{200, ""}};
  rig.delivery.queue({rig.message("next")});
  rig.world.run_for(seconds(1));
  EXPECT_EQ(rig.owner.settled, std::vector<std::string>{"next delivered "});
}

TEST(Delivery, TriesAtOnceWhenThePeerWasHeardOf) {
  Rig rig;
  rig.peer.answers["POST"] = {{0, ""}};
  rig.delivery.queue({rig.message("m")});
  rig.world.run_for(seconds(300));
  rig.peer.answers["POST"] = {{200, ""}};
  rig.delivery.nudge({"health", "did:web:other.example"});
  rig.world.run_for(milliseconds(100));
  EXPECT_TRUE(rig.owner.settled.empty());
  rig.delivery.nudge(party);
  rig.world.run_for(milliseconds(100));
  EXPECT_EQ(rig.owner.settled, std::vector<std::string>{"m delivered "});
}

TEST(Delivery, TakesUpWhatTheStoreStillHolds) {
  Rig rig;
  Transaction transaction;
  transaction.messages = {rig.message("one"), rig.message("two")};
  ASSERT_TRUE(sim::await(rig.node, rig.store.commit(std::move(transaction))));
  ASSERT_TRUE(rig.delivery.resume());
  rig.world.run_for(seconds(1));
  EXPECT_EQ(rig.owner.settled.size(), 2U);
}

}  // namespace
}  // namespace tally::negotiation
