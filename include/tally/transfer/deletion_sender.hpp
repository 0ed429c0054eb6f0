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

class DeletionSender final : public negotiation::ProcessOwner {
 public:
  DeletionSender(DeletionParts parts, PartyId self);
  ~DeletionSender() override;

  // Called after `data.destroyed` is durable; once per content and agreement, a repeat does
  // nothing. `note.log` names that record. Errors: unavailable.
  awaitable<Result<void>> send(DeletionNote note);

  awaitable<Result<void>> on_delivered(OutgoingMessage message, std::string body) override;
  awaitable<Result<void>> on_refused(OutgoingMessage message, negotiation::Refused refused)
      override;
  std::string state_url(const OutgoingMessage& message) override;
  negotiation::Standing compare(const OutgoingMessage& message, const std::string& state) override;
  [[nodiscard]] std::optional<Nanos> deadline() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::transfer
