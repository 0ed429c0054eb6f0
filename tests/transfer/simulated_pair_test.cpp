// Two whole connectors on one simulated wire, from the catalogue to the refused fourth use: the
// same seed gives the same bytes, and a hundred seeds of faults end in agreeing states (a thousand
// with TALLY_LONG).
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tally/audit/verify.hpp"

#include "transfer/connector.hpp"

namespace tally::transfer {
namespace {

using test::Connector;
using test::hospital;
using test::institute;
using test::research;

struct Pair {
  explicit Pair(std::uint64_t seed, int count = 3, bool receipt_before_key = false) : world(seed) {
    provider.receipt_before_key = receipt_before_key;
    provider.offer(institute, count);
  }

  void start() {
    provider.start();
    consumer.start();
  }

  // Runs until `condition` holds over restarts and faults that `disturb` may play in between.
  bool until(const std::function<bool()>& condition, Nanos within = seconds(3600)) {
    return world.run_until(condition, within);
  }

  std::string negotiation_state(const Pid& pid) {
    auto json = consumer.negotiations->describe(pid);
    return json ? json->at("state").get<std::string>() : json.error().message.code;
  }
  std::string transfer_state(const Pid& pid) {
    auto json = consumer.transfers->describe(pid);
    return json ? json->at("state").get<std::string>() : json.error().message.code;
  }

  sim::World world;
  sim::SimNetwork network{world};
  Connector provider{world, network, hospital};
  Connector consumer{world, network, institute};
};

std::string last_state(Pair& pair, const Pid& pid) {
  return pair.negotiation_state(pid);
}

// Plays the story without faults; the two logs.
std::pair<std::string, std::string> play(std::uint64_t seed) {
  Pair pair(seed);
  pair.start();
  const auto negotiation = pair.consumer.negotiate(hospital, {research});
  EXPECT_TRUE(negotiation) << negotiation.error().message.code;
  if (!negotiation) return {};
  EXPECT_TRUE(pair.until([&] { return last_state(pair, *negotiation) == "FINALIZED"; }));
  const auto agreements = pair.consumer.agreements();
  EXPECT_EQ(agreements.size(), 1U);
  if (agreements.empty()) return {};
  const AgreementId agreement = agreements.front().id;

  const auto transfer =
      pair.consumer.await(pair.consumer.transfers->request({agreement, "HttpData-PULL"}));
  EXPECT_TRUE(transfer) << transfer.error().message.code;
  if (!transfer) return {};
  EXPECT_TRUE(pair.until([&] { return pair.transfer_state(*transfer) == "COMPLETED"; }))
      << pair.consumer.transfers->describe(*transfer)->dump(1)
      << pair.consumer.node->notices().print() << pair.provider.node->notices().print();

  const auto token = pair.consumer.add_app("reader", research);
  const auto other = pair.consumer.add_app("seller", test::marketing);
  for (int use = 1; use <= 3; ++use) {
    const auto key = "use " + std::to_string(use);
    const auto read = pair.consumer.read(agreement, token, key);
    EXPECT_EQ(read.status, 200) << read.body;
    EXPECT_EQ(read.body, pair.provider.data);
  }
  // A lost answer is asked for again, and no use is counted for it.
  for (int again = 0; again < 10; ++again) {
    EXPECT_EQ(pair.consumer.read(agreement, token, "use 3").status, 200);
  }
  const auto fourth = pair.consumer.read(agreement, token, "use 4");
  EXPECT_EQ(fourth.status, 403) << fourth.body;
  EXPECT_EQ(pair.consumer.read(agreement, other).status, 403);
  pair.world.run_for(seconds(5));
  return {pair.provider.log_text(), pair.consumer.log_text()};
}

TEST(SimulatedPair, PlaysFromTheCatalogueToTheRefusedFourthUse) {
  const auto [provider, consumer] = play(7);
  const auto has = [](const std::string& log, const std::string& type) {
    return log.find("\"type\":\"" + type + "\"") != std::string::npos;
  };
  for (const char* type :
       {"contract.offered",
        "contract.agreed",
        "contract.verified",
        "contract.finalized",
        "transfer.requested",
        "transfer.started",
        "transfer.sent",
        "receipt.issued",
        "receipt.held",
        "transfer.completed"}) {
    EXPECT_TRUE(has(provider, type)) << type;
  }
  for (const char* type :
       {"contract.offered",
        "contract.finalized",
        "transfer.requested",
        "transfer.started",
        "transfer.received",
        "receipt.issued",
        "receipt.held",
        "transfer.completed",
        "use.permitted",
        "use.denied"}) {
    EXPECT_TRUE(has(consumer, type)) << type;
  }
  EXPECT_FALSE(has(provider, "receipt.missing"));
  EXPECT_FALSE(has(consumer, "receipt.missing"));
}

TEST(SimulatedPair, WritesTheSameBytesForTheSameSeed) {
  const auto first = play(11);
  const auto second = play(11);
  EXPECT_FALSE(first.first.empty());
  EXPECT_EQ(first.first, second.first);
  EXPECT_EQ(first.second, second.second);
}

// --- faults --------------------------------------------------------------------------------------

struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One story under drops, delays, doubled messages, cut bodies and power cuts.
class Story {
 public:
  explicit Story(std::uint64_t seed, bool receipt_before_key = false, bool pauses = false)
      : pair_(seed, 3, receipt_before_key), chance_(seed * 7919 + 1), pauses_(pauses) {
    pair_.network.faults.drop_request = 0.06;
    pair_.network.faults.drop_answer = 0.06;
    pair_.network.faults.double_request = 0.06;
    pair_.network.faults.cut_body = 0.15;
    pair_.network.faults.most_delay = milliseconds(200);
  }

  void run() {
    pair_.start();
    Pid negotiation;
    for (int attempt = 0; attempt < 200 && negotiation.empty(); ++attempt) {
      auto begun = pair_.consumer.negotiate(hospital, {research});
      if (begun) negotiation = *begun;
    }
    check(!negotiation.empty(), "the catalogue was never answered");
    disturb();
    live_until([&] { return final_negotiation(negotiation); }, "the negotiation never ended");
    check(
        pair_.negotiation_state(negotiation) == "FINALIZED",
        "an ordinary negotiation was not finalized: " + describe(negotiation)
    );
    const auto agreements = pair_.consumer.agreements();
    check(agreements.size() == 1, "not one agreement");
    agreement_ = agreements.front().id;

    auto transfer =
        pair_.consumer.await(pair_.consumer.transfers->request({agreement_, "HttpData-PULL"}));
    check(transfer.has_value(), "the transfer could not be asked for");
    if (pauses_) pause(*transfer);
    disturb();
    if (pauses_) go_on(*transfer);
    live_until([&] { return final_transfer(*transfer); }, "the transfer never ended");
    read_all();
    settle();
    compare(negotiation, *transfer);
  }

  [[nodiscard]] std::string where() const { return pair_.world.where(); }
  // What the faults came to, so that the test shows that there were any.
  struct Tally {
    int completed = 0;
    int terminated = 0;
    std::uint64_t cuts = 0;
    std::uint64_t lost = 0;
    std::uint64_t doubled = 0;
    std::uint64_t cut_bodies = 0;
    std::size_t uses = 0;
    int pauses = 0;
  };
  void add_to(Tally& sum) const {
    const auto& counts = pair_.network.counts();
    (completed_ ? sum.completed : sum.terminated) += 1;
    sum.cuts += cuts_;
    sum.lost += counts.dropped_requests + counts.dropped_answers;
    sum.doubled += counts.doubled_requests;
    sum.cut_bodies += counts.cut_bodies;
    sum.uses += acknowledged_.size();
    sum.pauses += pauses_made_;
  }
  std::string notices() {
    return pair_.provider.node->notices().print() + "---\n" +
           pair_.consumer.node->notices().print();
  }

 private:
  void check(bool condition, const std::string& what) const {
    if (!condition) throw Broken(what + ", " + pair_.world.where());
  }

  std::string describe(const Pid& pid) {
    auto json = pair_.consumer.negotiations->describe(pid);
    return json ? json->dump(1) : "?";
  }

  // Lets some time pass and cuts the power of one side, a few times.
  void disturb() {
    const auto cuts = chance_.below(4);
    for (std::uint64_t cut = 0; cut < cuts; ++cut) {
      pair_.world.run_for(chance_.span(0, milliseconds(900)));
      Connector& victim = chance_.happens(0.5) ? pair_.provider : pair_.consumer;
      victim.cut_power();
      ++cuts_;
      pair_.world.run_for(chance_.span(0, seconds(2)));
      victim.start();
    }
  }

  // One order to one side of the transfer; what its state does not allow is refused.
  bool order(const Pid& transfer, bool suspends) {
    const auto mine = pair_.consumer.transfers->describe(transfer).value();
    const Pid theirs(mine.at("peerPid").get<std::string>());
    const bool provider = !theirs.empty() && chance_.happens(0.5);
    Connector& side = provider ? pair_.provider : pair_.consumer;
    const Pid& pid = provider ? theirs : transfer;
    const auto done =
        suspends ? side.await(side.transfers->suspend(pid, {"transfer.suspended-by-operator", {}}))
                 : side.await(side.transfers->restart(pid));
    return done.has_value();
  }

  // Either side suspends and resumes, whatever the other is doing.
  void pause(const Pid& transfer) {
    for (auto left = chance_.below(6); left > 0; --left) {
      pair_.world.run_for(chance_.span(0, milliseconds(400)));
      if (order(transfer, true)) ++pauses_made_;
      pair_.world.run_for(chance_.span(0, milliseconds(400)));
      order(transfer, false);
    }
  }

  // Until it runs on both sides, or is over.
  void go_on(const Pid& transfer) {
    for (int attempt = 0; attempt < 400 && !final_transfer(transfer); ++attempt) {
      pair_.world.run_for(seconds(1));
      order(transfer, false);
    }
  }

  void live_until(const std::function<bool()>& condition, const std::string& what) {
    check(pair_.until(condition, seconds(2L * 3600)), what);
  }

  bool final_negotiation(const Pid& pid) {
    const auto state = pair_.negotiation_state(pid);
    return state == "FINALIZED" || state == "TERMINATED";
  }
  bool final_transfer(const Pid& pid) {
    const auto state = pair_.transfer_state(pid);
    return state == "COMPLETED" || state == "TERMINATED";
  }

  // Reads with power cuts between and during; keys as a careful application takes them.
  void read_all() {
    auto token = pair_.consumer.add_app("reader", research);
    for (int use = 0; use < 8; ++use) {
      const auto read =
          pair_.consumer.read(agreement_, token, "key " + std::to_string(chance_.below(6)));
      if (read.status == 200) {
        check(read.body == pair_.provider.data, "other data was read than was sent");
        acknowledged_.insert(read.use);
      }
      if (chance_.happens(0.2)) {
        pair_.consumer.cut_power();
        ++cuts_;
        pair_.consumer.start();
      }
    }
  }

  void settle() {
    pair_.network.faults = {};
    pair_.world.run_for(seconds(600));
  }

  void compare(const Pid& negotiation, const Pid& transfer) {
    const auto mine = pair_.consumer.negotiations->describe(negotiation).value();
    const auto theirs = pair_.provider.negotiations->describe(Pid(mine.at("peerPid"))).value();
    check(mine.at("state") == theirs.at("state"), "negotiations differ " + theirs.dump(1));
    const auto my_transfer = pair_.consumer.transfers->describe(transfer).value();
    const auto their_transfer =
        pair_.provider.transfers->describe(Pid(my_transfer.at("peerPid"))).value();
    check(
        my_transfer.at("state") == their_transfer.at("state"),
        "transfers differ " + my_transfer.dump(1) + their_transfer.dump(1)
    );
    completed_ = my_transfer.at("state") == "COMPLETED";
    check(
        completed_,
        "faults that pass ended a transfer " + my_transfer.dump(1) + their_transfer.dump(1)
    );
    if (completed_) {
      check(my_transfer.at("content") == their_transfer.at("content"), "contents differ");
    }
    check(pair_.consumer.image.messages.empty(), "the consumer still has messages");
    check(pair_.provider.image.messages.empty(), "the provider still has messages");
    check(pair_.consumer.image.drafts.size() <= 2, "the consumer still has drafts");
    check(acknowledged_.size() <= 3, "more than three uses were acknowledged");
    std::map<std::string, int> permitted;
    for (const auto& record : pair_.consumer.records("use.permitted")) {
      for (const auto& rule : record.at("rules")) ++permitted[rule.at("id")];
    }
    for (const auto& [rule, count] : permitted) check(count <= 3, "more uses than the limit");
    std::set<std::string> held;
    for (const auto& record : pair_.provider.records()) {
      if (record.at("type") == "receipt.held") held.insert(record.at("receipt"));
      const bool key = record.at("type") == "key.released";
      check(!key || held.contains(record.at("receipt")), "a key before its receipt");
    }
    check(pair_.provider.records("key.released").size() <= held.size(), "a key twice");
    check(
        pair_.provider.payload_key_files->list("keys").value().empty(),
        "a key outlives its transfer"
    );
    for (Connector* side : {&pair_.provider, &pair_.consumer}) {
      std::set<std::string> events;
      for (const auto& record : side->records()) {
        check(events.insert(record.at("event").get<std::string>()).second, "an event twice");
      }
      check(side->records("contract.finalized").size() == 1, "not one contract.finalized");
      // A suspension that crosses a completion undoes it.
      const std::size_t undone = side->records("transfer.suspended").size();
      check(side->records("transfer.completed").size() <= 1 + undone, "completed twice");
      sim::SimLogStorage reader(side->disk);
      const auto report = audit::verify_log(reader);
      check(
          report.verdict != audit::Verdict::changed,
          "a chain does not verify: " + (report.finding ? report.finding->message.code : "")
      );
    }
  }

  Pair pair_;
  sim::Chance chance_;
  bool pauses_ = false;
  int pauses_made_ = 0;
  AgreementId agreement_;
  std::set<std::string> acknowledged_;
  bool completed_ = false;
  std::uint64_t cuts_ = 0;
};

// `many` stories from seed `first` on, ten times as many with TALLY_LONG, until one breaks.
Story::Tally tell(std::uint64_t first, int many, bool receipt_before_key, bool pauses) {
  if (std::getenv("TALLY_LONG") != nullptr) many *= 10;
  Story::Tally sum;
  for (auto seed = first; seed < first + static_cast<std::uint64_t>(many); ++seed) {
    Story story(seed, receipt_before_key, pauses);
    try {
      story.run();
      story.add_to(sum);
    } catch (const std::exception& broken) {
      ADD_FAILURE() << "seed " << seed << ": " << broken.what() << "\n" << story.notices();
      break;
    }
  }
  std::cout << "completed " << sum.completed << ", terminated " << sum.terminated << ", power cuts "
            << sum.cuts << ", lost " << sum.lost << ", doubled " << sum.doubled << ", cut bodies "
            << sum.cut_bodies << ", uses " << sum.uses << ", suspensions " << sum.pauses << "\n";
  EXPECT_EQ(sum.completed, many);  // faults that pass end no transfer
  return sum;
}

TEST(SimulatedPair, EndsInAgreeingStatesOverAHundredSeedsOfFaults) {
  const auto sum = tell(1, 100, false, false);
  EXPECT_GE(sum.cuts, 200U);
  EXPECT_GE(sum.lost, 100U);
}

TEST(SimulatedPair, GivesKeysForReceiptsOverFortySeedsOfFaults) {
  const auto sum = tell(201, 40, true, false);
  EXPECT_GE(sum.cuts, 80U);
  EXPECT_GE(sum.cut_bodies, 1U);
}

TEST(SimulatedPair, SuspendsAndResumesOverSixtySeedsOfFaults) {
  EXPECT_GE(tell(301, 60, false, true).pauses, 40);
}

}  // namespace
}  // namespace tally::transfer
