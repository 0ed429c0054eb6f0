// One connector's enforcement point in a simulated machine: the real log writer over a disk that
// forgets, virtual time, and restarts. For the tests of this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/log_writer.hpp"
#include "tally/audit/recovery.hpp"
#include "tally/audit/snapshot.hpp"
#include "tally/odrl/policy.hpp"
#include "tally/odrl/terms.hpp"
#include "tally/usage/enforcer.hpp"

#include "sim/node.hpp"
#include "sim/sim_log_storage.hpp"
#include "sim/world.hpp"
#include "usage/ledger_part.hpp"

namespace tally::usage::test {

inline const PartyId provider{"health.example", "urn:test:hospital"};
inline const PartyId consumer{"health.example", "urn:test:institute"};
inline const PartyId stranger{"other.example", "urn:test:institute"};
inline const std::string research = "urn:test:purpose:research";
inline const std::string marketing = "urn:test:purpose:marketing";
inline const std::string rule_id = "urn:test:rule";

// {"leftOperand": …} as it stands in a policy.
Json atom(const std::string& operand, const std::string& op, Json value);
Json limit(std::int64_t count, const std::string& op = "lteq");
// One permission to use with these constraints. Limits without an owner count at the consumer.
odrl::PolicyPtr policy(Json constraints);
AgreementTerms terms(
    const std::string& id, odrl::PolicyPtr policy, odrl::Side side = odrl::Side::consumer
);
Act act(const std::string& agreement, const std::string& key = {});

// What a log holds of one use.
struct Record {
  std::string type;
  std::string event;
  std::string agreement;
  Json body;
  std::size_t bytes = 0;
};

audit::Genesis genesis();

// The machine: what is here survives restarts.
class Rig {
 public:
  explicit Rig(std::uint64_t seed = 1, const Limits& limits = {});
  ~Rig();

  // Starts the connector over what is durable: recover, replay, activate, finish_replay. The second
  // is for tests that look in between.
  void start();
  Result<void> start_without_finish();
  void stop();       // a clean stop
  void cut_power();  // everything that was not synced is lost, perhaps
  void kill();       // the process goes, the page cache stays

  // Agreements are activated at every start.
  void agree(AgreementTerms terms);

  template <class T>
  T await(awaitable<T> task) {
    return sim::await(*node, std::move(task));
  }
  Result<Authorised> authorise(Act act) { return await(enforcer->authorise(std::move(act))); }
  // Grants only.
  std::optional<Grant> use(const std::string& agreement, const std::string& key = {});
  void settle();  // lets everything that is queued be written

  // Takes a snapshot of what is durable, as the daemon does; it is kept as if in a store. False:
  // the disk did not have it (a failure, or hashes that are not written yet).
  bool take_snapshot();

  void commit_after(Nanos delay);  // from now on every batch takes this long
  std::unique_ptr<audit::LogStorage> reader();

  // The durable log, without asking the connector.
  std::vector<Record> records();
  std::vector<Record> records(const std::string& type);

  sim::World world;
  sim::SimDisk disk{world};
  bool lying_disk = false;  // from the next start on a sync says yes and does nothing
  Limits limits;
  std::vector<AgreementTerms> agreements;
  std::uint64_t starts = 0;
  std::optional<audit::Snapshot> snapshot;
  std::uint64_t started_from = 0;  // how many records the last start took from the snapshot
  std::optional<Message> refused;  // and why it took none

  // Gone while the machine is off.
  std::unique_ptr<sim::Node> node;
  std::unique_ptr<audit::LogStorage> storage;
  std::unique_ptr<Enforcer> enforcer;
  std::unique_ptr<audit::LogWriter> log;
  std::unique_ptr<sim::LogPump> pump;

 private:
  audit::MakeLogParts make_parts();
  void destroy();
};

// What replay has to bring back of one agreement.
struct Image {
  Closed closed = Closed::open;
  std::int64_t uses = 0;
  std::optional<Instant> first;
  std::optional<Instant> last;
  std::vector<std::int64_t> used;
  bool operator==(const Image&) const = default;
};
Image image(const Enforcer& enforcer, const std::string& agreement);

// "permitted", or the code of the refusal or error: for tables.
std::string outcome(const Result<Authorised>& answer);

audit::RecordDraft draft(Rig& rig, const std::string& type, const std::string& agreement);

}  // namespace tally::usage::test
