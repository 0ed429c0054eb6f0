// Erasing a fact about a person, with the power gone at each place between its record and its end.
#include "facts_of_log.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <gtest/gtest.h>

#include "audit/station.hpp"
#include "custody/machine.hpp"
#include "sim/sim_blob_store.hpp"

namespace tally::daemon {
namespace {

constexpr const char* alice = "staff/alice-4711";

// Before the station that runs in it.
struct OwnWorld {
  sim::World own{5};
};

// Runs jobs until it is told to stand still: what a process looks like that is killed before the
// next one.
class StandingWorker final : public Worker {
 public:
  explicit StandingWorker(sim::Node& node) : node_(node) {}
  awaitable<void> run(std::function<void()> job) override {
    if (left == 0) {
      stands = true;
      co_await node_.timers().sleep_for(seconds(1'000'000));
    }
    --left;
    co_await node_.worker().run(std::move(job));
  }
  int left = 1'000'000;
  bool stands = false;

 private:
  sim::Node& node_;
};

class ErasedFacts : public ::testing::Test, private OwnWorld, public audit::Station {
 protected:
  ErasedFacts() : Station(own, "clinic") {}
  ~ErasedFacts() override { stop(); }
  void SetUp() override { start(); }
  void begin() override {
    worker = std::make_unique<StandingWorker>(*node);
    files = std::make_unique<sim::SimBlobStore>(disk, "private");
    facts = std::make_unique<custody::PrivateFacts>(*files, keys, node->random());
    kept = std::make_unique<FactsOfLog>(
        *facts,
        *log,
        node->clock(),
        node->random(),
        *worker,
        [this]() -> Result<std::unique_ptr<audit::LogStorage>> {
          return std::make_unique<sim::SimLogStorage>(disk);
        }
    );
    // As the daemon starts.
    sim::SimLogStorage reader(disk);
    CommittedFacts committed;
    const auto see = [&committed](const audit::RecordView& record) {
      ASSERT_TRUE(committed.replay(record));
    };
    ASSERT_TRUE(audit::for_each_record(reader, 0, see));
    ASSERT_TRUE(kept->tidy(committed, {}));
  }
  void end() override {
    kept.reset();
    facts.reset();
    files.reset();
    worker.reset();
  }

  // A record with a fact beside it; the record's number.
  std::uint64_t record_about(const std::string& person) {
    commitment = sim::await(*node, kept->keep_fact(person, {{"who", person}})).value();
    audit::RecordDraft draft("admin.action", new_event(node->random(), node->clock().read().at));
    draft.set("action", "put-asset").set("private", commitment);
    return sim::await(*node, audit::append(*log, std::move(draft))).value().seq;
  }
  void begin_erasing(api::Erasure erasure) {
    auto erase = [](FactsOfLog* of, api::Erasure what, bool* done) -> awaitable<void> {
      *done = (co_await of->erase(std::move(what))).has_value();
    };
    boost::asio::co_spawn(
        node->executor(), erase(kept.get(), std::move(erasure), &erased), boost::asio::detached
    );
  }
  bool opens() { return facts->open(commitment).has_value(); }

  custody::test::FixedKey keys;
  std::unique_ptr<StandingWorker> worker;
  std::unique_ptr<sim::SimBlobStore> files;
  std::unique_ptr<custody::PrivateFacts> facts;
  std::unique_ptr<FactsOfLog> kept;
  Digest commitment{};
  bool erased = false;
};

TEST_F(ErasedFacts, APowerCutBetweenTheRecordAndTheEndIsFinishedAtTheNextStart) {
  for (const bool of_person : {false, true}) {
    const auto before = records("private.erased").size();
    const auto seq = record_about(alice);
    api::Erasure erasure;
    if (!of_person) erasure.record = seq;
    erasure.subject = of_person ? alice : "";
    erasure.basis = "gdpr-17-1-b";
    worker->left = 1;  // it may look, and not destroy
    begin_erasing(erasure);
    ASSERT_TRUE(world.run_until([this] { return worker->stands; }));
    ASSERT_EQ(records("private.erased").size(), before + 1);
    EXPECT_TRUE(opens()) << "the power goes before it is destroyed";
    cut_power();
    start();
    EXPECT_FALSE(erased);
    EXPECT_FALSE(opens());
    EXPECT_EQ(audit::code_of(sim::await(*node, kept->opening(seq))), "api.no-private-fact");
    EXPECT_EQ(records("private.erased").size(), before + 1);
  }
}

TEST_F(ErasedFacts, AFactWithoutTheRecordOfItsEndStays) {
  const auto seq = record_about(alice);
  api::Erasure erasure;
  erasure.record = seq;
  erasure.basis = "gdpr-17-1-b";
  disk.fail_write(1, true);
  const auto refused = sim::await(*node, kept->erase(erasure));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(log->failed());
  disk.mend();
  EXPECT_TRUE(opens());
  cut_power();
  start();
  EXPECT_TRUE(records("private.erased").empty());
  EXPECT_TRUE(opens());
  ASSERT_TRUE(sim::await(*node, kept->erase(erasure)));
  EXPECT_FALSE(opens());
}

// A record that was never written leaves nothing about anybody.
TEST_F(ErasedFacts, AFactWhoseRecordIsNotInTheLogGoesAtTheNextStart) {
  (void)record_about("staff/bob");
  const Digest recorded = commitment;
  commitment = sim::await(*node, kept->keep_fact(alice, {{"who", alice}})).value();
  cut_power();
  start();
  EXPECT_FALSE(opens());
  commitment = recorded;
  EXPECT_TRUE(opens());
}

}  // namespace
}  // namespace tally::daemon
