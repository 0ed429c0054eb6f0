// A simulated connector up to negotiation: real services over a disk and a store that forget what
// was not synced, and a wire. The tests of negotiation and of transfer build on it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/journal.hpp"
#include "tally/audit/log_writer.hpp"
#include "tally/audit/note.hpp"
#include "tally/audit/recovery.hpp"
#include "tally/audit/snapshot_keeper.hpp"
#include "tally/core/task_group.hpp"
#include "tally/identity/trust.hpp"
#include "tally/negotiation/delivery.hpp"
#include "tally/negotiation/negotiation_service.hpp"
#include "tally/negotiation/rule_book.hpp"
#include "tally/usage/enforcer.hpp"

#include "sim/memory_store.hpp"
#include "sim/network.hpp"
#include "sim/node.hpp"
#include "sim/sim_log_storage.hpp"
#include "support/test_pki.hpp"

namespace tally::negotiation::test {

inline const PartyId hospital{"health", "did:web:hospital.example"};
inline const PartyId institute{"health", "did:web:institute.example"};
inline const PartyId outsider{"city", "did:web:institute.example"};
inline const std::string research = "urn:test:purpose:research";
inline const std::string marketing = "urn:test:purpose:marketing";
inline const std::string dsp_base = "/dsp/2025-1";

// Keys and certificates are slow to make and the same for every machine.
const testing::TestPki& pki();
std::shared_ptr<const identity::ContractSigner> signer_of(const PartyId& party);
// What a connection of `party` proves in the simulator.
identity::PeerIdentity identity_of(const PartyId& party, int certificate = 1);

// Everyone knows everyone, at "https://<last part of the URI>/".
class Directory final : public PeerDirectory {
 public:
  bool host_allowed(const PartyId& party, std::string_view url) const override;
  std::optional<std::string> base_url(const PartyId& party) const override;
  std::optional<std::string> tally_url(const PartyId& party) const override;
  std::string jurisdiction(const PartyId&) const override { return home; }
  std::optional<PartyId> party_at(std::string_view) const override { return std::nullopt; }
  DataDialect data_dialect(const PartyId&) const override { return dialect; }
  dsp::PolicyDialect policy_dialect(const PartyId&) const override { return policies; }
  bool accepts_unsigned(const PartyId&) const override { return unsigned_ok; }
  static std::string root_of(const PartyId& party);  // "https://hospital.example"
  bool tally = true;
  bool unsigned_ok = false;
  std::string home;     // of everyone
  DataDialect dialect;  // likewise
  dsp::PolicyDialect policies;
};

class Offers final : public OfferBook {
 public:
  std::optional<VisibleOffer> find(
      const OfferId& offer, const AssetId& target, const Viewer& viewer
  ) const override;
  std::optional<PinnedAsset> asset(const AssetId& asset) const override;
  struct Offered {
    VisibleOffer offer;
    std::set<PartyId> visible_to;  // empty: everyone
  };
  std::map<std::string, Offered> offers;
};

// An offer of "urn:test:cohort": three uses, for research, before 2027, deleted at the end.
Json offer_policy(const std::string& id = "urn:test:offer", int count = 3);
VisibleOffer cohort_offer(const std::string& id = "urn:test:offer", int count = 3);

// Rules that a test may change at any time.
class Rules final : public Reactions {
 public:
  bool empty() const override { return book.empty(); }
  std::optional<Reaction> find(const Situation& situation) const override {
    return book.find(situation);
  }
  // A document of rules/; throws where it has a fault.
  void read(const std::vector<Json>& rules);
  RuleBook book;
};

// One log record, as JSON with the name of its log.
using Records = std::vector<Json>;

class Machine {
 public:
  Machine(sim::World& world, sim::SimNetwork& network, PartyId self);
  virtual ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Starts over what is durable: recovers, replays, builds the services, resumes.
  void start();
  void cut_power();
  [[nodiscard]] bool is_on() const { return node != nullptr; }
  template <class T>
  T await(awaitable<T> task) {
    return sim::await(*node, std::move(task));
  }

  // Routes a request below the DSP base to the service, as api does.
  virtual awaitable<HttpResponse> handle(HttpRequest request, PartyId caller);
  // Sends one by hand, as `caller`.
  HttpAnswer receive(
      const std::string& method, const std::string& path, const Json& body, const PartyId& caller
  );

  Records records();
  Records records(const std::string& type);
  std::string log_text();                                         // all records, one a line
  std::string state_of(const std::string& kind, const Pid& pid);  // of a row; "" if none

  sim::World& world;
  sim::SimNetwork& network;
  PartyId self;
  sim::SimDisk disk;
  sim::StoreImage image;
  Limits limits;
  Directory directory;
  Offers offers;
  const OfferBook* book = &offers;  // another one, before `start`
  Rules rules;
  DecisionHook* hook = nullptr;  // before `start`
  bool has_signer = true;
  Decide unasked_offers = Decide::by_itself;
  Decide counter_offers = Decide::by_itself;
  bool keeps_keys = true;
  audit::VerifierKey log_key;                           // before the first `start`
  std::optional<identity::KeyStatement> key_statement;  // before `start`; goes with what is signed
  int starts = 0;

  // Gone while the power is off.
  std::unique_ptr<sim::Node> node;
  std::unique_ptr<sim::MemoryStore> store;
  std::unique_ptr<audit::LogStorage> storage;
  std::unique_ptr<usage::Enforcer> enforcer;
  std::unique_ptr<audit::LogWriter> log;
  std::unique_ptr<sim::LogPump> pump;
  std::unique_ptr<audit::Journal> journal;
  std::unique_ptr<audit::SnapshotKeeper> snapshots;
  std::unique_ptr<identity::TrustSource> trust;
  std::unique_ptr<TaskGroup> tasks;
  std::unique_ptr<Peer> peer;
  std::unique_ptr<Delivery> delivery;
  std::unique_ptr<NegotiationService> negotiations;

 protected:
  virtual void build() {}  // more services; before anything is resumed
  virtual Result<void> resume_all() { return {}; }
  virtual awaitable<Result<void>> begin() { co_return Result<void>{}; }
  virtual void destroy_more() {}  // before what this class holds
  std::string origin() const { return self.uri + "/log/1"; }
  void destroy();

 private:
  awaitable<Result<void>> begin_all(audit::OutboxSearch search);
};

// A ContractRequestMessage of the institute, and what it asks for.
NegotiateOrder order_for(
    const PartyId& peer,
    std::vector<std::string> purposes = {research},
    const std::string& offer = "urn:test:offer"
);

}  // namespace tally::negotiation::test
