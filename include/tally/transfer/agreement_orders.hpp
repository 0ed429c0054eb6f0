// The suspension, resumption and end of an agreement, by either side (docs/peer-api.md,
// "Agreements"). A suspension is a hold on the agreement that only the side which placed it lifts;
// an end is for good. What we order is in force here before it is told; it is told for as long as
// that takes, over restarts, with the order itself in one commit. Home executor only.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "tally/audit/journal.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/store.hpp"
#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/delivery.hpp"
#include "tally/negotiation/peers.hpp"
#include "tally/negotiation/received.hpp"
#include "tally/transfer/transfer_service.hpp"
#include "tally/usage/hold_book.hpp"

namespace tally::transfer {

struct AgreementOrderParts {
  Store& store;
  audit::Journal& journal;
  negotiation::Delivery& delivery;
  Clock& clock;
  Random& random;
  Notices& notices;
  const negotiation::PeerDirectory& peers;
  usage::Enforcer& enforcer;
  usage::HoldBook& holds;
  TransferService& transfers;
};

enum class AgreementOrder { suspension, resumption, termination };

class AgreementOrders final : public negotiation::ProcessOwner {
 public:
  // What follows from an end that is durable, however often it is asked for: transfers end, what is
  // held is destroyed, the last statement is made. Errors: unavailable.
  using Ended = std::function<awaitable<Result<void>>(AgreementId agreement, Message why)>;

  AgreementOrders(AgreementOrderParts parts, Ended ended);
  ~AgreementOrders() override;

  // By us; `said` is told to the other side and stays out of the log. What is done already is done.
  // Errors: not_found (api.unknown-agreement), conflict (transfer.agreement-not-active: it is
  // over), unavailable.
  awaitable<Result<void>> suspend(AgreementId agreement, std::string said);
  awaitable<Result<void>> resume(AgreementId agreement);
  // No use is permitted once it returns.
  awaitable<Result<void>> terminate(AgreementId agreement, std::string said);

  // By the other side: /tally/v1/agreements/<agreement>/<order>.
  awaitable<HttpAnswer> receive(Received received, AgreementOrder order);

  // At start: what a stop left between an end and what follows from it.
  awaitable<void> finish();

  // --- ProcessOwner: our orders on their way ---
  awaitable<Result<void>> on_delivered(OutgoingMessage message, std::string body) override;
  awaitable<Result<void>> on_refused(OutgoingMessage message, negotiation::Refused refused)
      override;
  std::string state_url(const OutgoingMessage& message) override;
  negotiation::Standing compare(const OutgoingMessage& message, const std::string& state) override;
  [[nodiscard]] std::optional<Nanos> deadline() const override;

 private:
  Result<negotiation::Agreement> agreement(const AgreementId& id) const;
  // What tells the other side, to be committed with the order; nothing where it serves no
  // /tally/v1.
  Result<usage::HoldCommit> told(
      const negotiation::Agreement& agreement, AgreementOrder order, std::string said
  );
  awaitable<Result<void>> end(
      negotiation::Agreement agreement, bool by_peer, std::string said, usage::HoldCommit with
  );
  awaitable<HttpAnswer> obey(
      negotiation::Agreement agreement, AgreementOrder order, std::string said, Row number
  );
  awaitable<Result<void>> settle(OutgoingMessage message, std::string state, std::string answer);
  // Transfers with a peer that is not told of agreements.
  awaitable<void> suspend_transfers(AgreementId agreement);
  awaitable<void> resume_transfers(AgreementId agreement);

  AgreementOrderParts parts_;
  Ended ended_;
  std::set<std::string> receiving_;  // agreements about which an order is being obeyed
};

}  // namespace tally::transfer
