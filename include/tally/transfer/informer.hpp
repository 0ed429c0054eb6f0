// Carries out the duty `inform`: tells a party of each use that was made here, once it is over.
//
// Made from the log alone, as statements are: what is still to be told is what stands behind the
// place that was reached, so a crash at any point ends in each use being in exactly one notice.
// Place, notice, message and record are one commit. The other side of the agreement is told with a
// signed note (docs/peer-api.md, "Notices of uses"), tried for as long as it takes; anybody else by
// a program that the operator configured for that party. A notice that is not given within the
// duty's term is `obligation.violated`, and until it is given no use is permitted under the duty's
// rule. Home executor only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tally/audit/journal.hpp"
#include "tally/audit/log_storage.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/store.hpp"
#include "tally/core/task_group.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/negotiation/delivery.hpp"
#include "tally/negotiation/peers.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::transfer {

// Parties beside those of an agreement that can be told of uses.
class InformedParties {
 public:
  virtual ~InformedParties() = default;
  [[nodiscard]] virtual bool knows(const std::string& party) const = 0;
  // One attempt: whether it was taken. `id` is the same over all attempts. Errors: why nothing was
  // answered.
  virtual awaitable<Result<bool>> tell(std::string party, std::string id, std::string body) = 0;
};

struct InformerParts {
  Store& store;
  audit::Journal& journal;
  negotiation::Delivery& delivery;
  Clock& clock;
  Timers& timers;
  Worker& worker;  // reads the log
  Random& random;
  TaskGroup& tasks;
  Notices& notices;
  const negotiation::PeerDirectory& peers;
  usage::Enforcer& enforcer;
  std::shared_ptr<const identity::ContractSigner> signer;
  InformedParties& others;
  // Our own log for reading, beside its writer, called on the worker; and how many of its records
  // are durable.
  std::function<Result<std::unique_ptr<audit::LogStorage>>()> open_log;
  std::function<std::uint64_t()> durable;
  const Limits& limits;
};

class Informer {
 public:
  Informer(InformerParts parts, PartyId self, std::string log_origin);
  ~Informer();
  Informer(const Informer&) = delete;
  Informer& operator=(const Informer&) = delete;

  // At start, before anything is served: what is owed, and what of it is overdue. Durable on
  // return.
  awaitable<Result<void>> start();
  // A task of the daemon's group; never ends by itself.
  awaitable<void> run();

  // The notices that are owed or were given under an agreement, and the uses that we were told of:
  // {"notices": […], "told": […]}, at most 1,000 of each. Errors: those of the store.
  [[nodiscard]] Result<Json> shown(const AgreementId& agreement) const;

  // For a log that begins in place of another: nothing of it is read yet. Adds to `change`.
  static Result<void> begin_again(Store& store, Transaction& change);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tally::transfer
