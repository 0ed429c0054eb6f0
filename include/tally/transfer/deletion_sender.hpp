// Tells the provider that data was destroyed, with a note it can keep. The message is one of
// Delivery's: it waits in the store until the provider is there again, however long that takes.
#pragma once

#include <memory>
#include <string>

#include "tally/audit/journal.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/store.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/negotiation/delivery.hpp"
#include "tally/negotiation/peers.hpp"
#include "tally/transfer/receipt.hpp"

namespace tally::transfer {

struct DeletionParts {
  Store& store;
  audit::Journal& journal;
  negotiation::Delivery& delivery;
  Clock& clock;
  Random& random;
  Notices& notices;
  const negotiation::PeerDirectory& peers;
  std::shared_ptr<const identity::ContractSigner> signer;
};

class DeletionSender final {
 public:
  DeletionSender(DeletionParts parts, PartyId self);
  ~DeletionSender();

  // Called after `data.destroyed` is durable; once per content and agreement, a repeat does
  // nothing. `note.log` names that record. Errors: unavailable.
  awaitable<Result<void>> send(DeletionNote note);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::transfer
