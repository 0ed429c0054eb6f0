// Ends what has to end: closes agreements whose time is over, and destroys what is held when its
// deletion is due, by itself and without the provider.
//
// Data is destroyed when (a) a duty to delete comes due, (b) no permission of its agreement can be
// active any more, with or without such a duty: what nobody may use has no ground to stay, or (c)
// its agreement was ended. The order is: `obligation.due` durable → the key shredded →
// `data.destroyed` durable → the provider told. A crash anywhere in it is finished at the next
// start. An unreliable clock holds (a) and (b). Home executor, but for kick and problems.
//
// Data is masked where it lies when a duty to mask it after its use comes due (masker.hpp). While
// that cannot be done, no use is permitted under the duty's rule.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tally/custody/custody.hpp"
#include "tally/custody/custody_records.hpp"
#include "tally/custody/holdings.hpp"
#include "tally/custody/masker.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::custody {

// One destroyed artefact, as the provider is told of it.
struct DeletionRecord {
  ArtefactId artefact;
  AgreementId agreement;
  PartyId provider;
  Pid process;
  std::string content;
  std::uint64_t bytes = 0;
  std::string method;     // "key-shredded"
  Instant time;           // of the record
  std::uint64_t seq = 0;  // of data.destroyed in our log
  Digest leaf{};
};

struct KeeperParts {
  Custody& custody;
  Holdings& holdings;
  audit::Journal& journal;
  usage::Enforcer& enforcer;
  Clock& clock;
  Timers& timers;
  Random& random;
  Notices& notices;
  const CustodyRecords& log;  // as a start found it
  Masker* masker = nullptr;   // null: no policy here wants the stored copy masked
};

class Keeper {
 public:
  // Hands a deletion record on to delivery; called again (also after a restart) until it succeeds.
  using OnDestroyed = std::function<awaitable<Result<void>>(DeletionRecord)>;
  // The agreement's row has to follow its ledger entry: called after policy.expired is durable.
  using OnExpired = std::function<awaitable<Result<void>>(AgreementId)>;

  Keeper(KeeperParts parts, OnDestroyed on_destroyed, OnExpired on_expired);
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // After Holdings::load and the recovery of the log: Custody::recover, and what was interrupted.
  // A key whose artefact is destroyed by the rows or by the log is destroyed again and reported; so
  // is what no row knows, since nobody could end it. Files that are none of a custody are named.
  awaitable<Result<void>> start();
  // Sleeps until the next thing is due, at most a minute; returns when it is cancelled.
  awaitable<void> run();
  // Look now: the test clock was moved, a use has ended, something new is held. Any thread.
  void kick();
  // One look, as `run` makes it. Returns when the next thing is due, as far as is known now.
  awaitable<std::optional<Instant>> check();

  // Destroys everything held under the agreement now. Its ledger entry is closed already or the
  // reason does not concern it (a duty). Errors: unavailable; it is tried again by `run`.
  awaitable<Result<void>> destroy(AgreementId agreement, Message reason);

  // What is due and could not be done, for readiness. Any thread.
  [[nodiscard]] std::vector<Message> problems() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tally::custody
