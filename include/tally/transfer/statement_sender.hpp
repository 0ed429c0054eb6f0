// States to the other side of each agreement what its uses here added up to: once a period, and
// when the agreement ends, signed, numbered without gaps (docs/peer-api.md). Made from the log
// alone; what is stated stands in it as `statement.issued`. Home executor only.
//
// A crash at any point ends in each record being in exactly one statement: number, range, message
// and record are one commit, and the range begins where the one before ended.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tally/audit/journal.hpp"
#include "tally/audit/log_storage.hpp"
#include "tally/audit/log_tree.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/store.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/negotiation/delivery.hpp"
#include "tally/negotiation/peers.hpp"

namespace tally::transfer {

struct StatementParts {
  Store& store;
  audit::Journal& journal;
  negotiation::Delivery& delivery;
  Clock& clock;
  Timers& timers;
  Worker& worker;  // reads the log
  Random& random;
  Notices& notices;
  const negotiation::PeerDirectory& peers;
  std::shared_ptr<const identity::ContractSigner> signer;
  audit::LogTree& tree;
  // Our own log for reading, beside its writer. Called on the worker.
  std::function<Result<std::unique_ptr<audit::LogStorage>>()> open_log;
};

struct StatementSettings {
  PartyId self;
  std::string log_origin;
  Nanos period = seconds(24L * 3600);  // whole seconds; begins at its multiples since 1970
};

class StatementSender {
 public:
  StatementSender(StatementParts parts, StatementSettings settings);
  ~StatementSender();

  // A task of the daemon's group; never ends by itself.
  awaitable<void> run();
  // --- what the other side of an agreement asks. Errors: not_found (transfer.unknown-agreement,
  // also for somebody else's), unavailable (transfer.busy: somebody is being answered) --- States
  // what is not stated yet, if this is the first page: {"statements": notes, at most 100, "next":
  // where the next page goes on, if there is one}.
  awaitable<Result<Json>> statements(AgreementId agreement, PartyId caller, std::string after);
  // {"uses": the signed list of the agreement's records from `aseq` on (audit/use_list.hpp)}. None
  // of them stands before `seq` in our log, as the caller knows from the list before.
  awaitable<Result<Json>> uses(
      AgreementId agreement, PartyId caller, std::uint64_t aseq, std::uint64_t seq
  );

  // The agreement has ended: what is not stated of it yet is stated now.
  void ended(const AgreementId& agreement);
  // The clock was moved.
  void kick();

  // For a log that begins in place of another: nothing of it is stated, and numbers begin at 1.
  // Adds to `change`. What was sent and received before stays.
  static Result<void> begin_again(Store& store, Transaction& change);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tally::transfer
