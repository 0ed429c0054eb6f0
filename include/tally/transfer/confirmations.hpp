// Duties that are confirmed (docs/odrl-profile.md): the provider's operator confirms and withdraws,
// answers requests for consent, and the consumer is told by a signed note, for as long as that
// takes; the consumer asks, and takes the notes. Whoever owes a duty never confirms it. And when
// one is overdue, the log says so once, on each side for itself. Home executor only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tally/audit/journal.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/json.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/store.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/delivery.hpp"
#include "tally/negotiation/peers.hpp"
#include "tally/negotiation/received.hpp"
#include "tally/transfer/duty_note.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::transfer {

using negotiation::HttpAnswer;
using negotiation::Received;

struct ConfirmationParts {
  Store& store;
  audit::Journal& journal;
  negotiation::Delivery& delivery;
  Clock& clock;
  Timers& timers;
  Random& random;
  Notices& notices;
  const negotiation::PeerDirectory& peers;
  usage::Enforcer& enforcer;
  std::shared_ptr<const identity::ContractSigner> signer;  // null: the consumer is not told
};

// Who decided, as records have it: by role and token, never by name.
struct DecidedBy {
  std::string role, token;
};

// What an operator knows a confirmation by: a file or payment number, 1 to 64 letters, digits and
// ". _ - / : #". It stands in the database and in no record.
bool is_reference(std::string_view text);

struct Confirming {
  // The duty's pointer, id or action; empty: the only one.
  std::string duty;
  std::string reference;
  std::optional<Instant> at;  // when it was done; nullopt: now
};

struct Confirmed {
  RuleId duty;
  std::string confirmation;
  Instant at;
  bool told = false;  // the consumer is being told
};

class Confirmations final : public negotiation::ProcessOwner {
 public:
  Confirmations(ConfirmationParts parts, PartyId self);
  ~Confirmations() override;

  // At start, after the ledger: what the store says and the records behind the snapshot do not yet.
  Result<void> load();
  // Records what comes to be overdue; returns when it is cancelled.
  awaitable<void> run();
  awaitable<void> look();

  // --- at the provider, by its operator ---
  // Uses that wait for it are taken once this returns. What is confirmed for this duty with this
  // reference already is given again. Errors: not_found (api.unknown-agreement,
  // usage.unknown-duty), invalid (usage.duty-ambiguous, transfer.reference-malformed,
  // transfer.confirmed-ahead), forbidden (transfer.confirmed-by-provider), conflict
  // (transfer.agreement-not-active, transfer.reference-withdrawn), unavailable.
  awaitable<Result<Confirmed>> confirm(AgreementId agreement, Confirming given, DecidedBy by);
  // By its reference or by what it is known by, of each duty that it stands for; for good. No use
  // that waits for it is permitted from here on, and streams end within a second. Errors: not_found
  // (api.unknown-agreement, transfer.unknown-confirmation), forbidden, unavailable.
  awaitable<Result<std::vector<Confirmed>>> withdraw(
      AgreementId agreement, std::string confirmation, DecidedBy by
  );
  // Requests that wait for an answer, in order of their ids.
  Result<std::vector<Json>> waiting() const;
  // Whether it is a request that came to us.
  Result<bool> knows(const std::string& request) const;
  // Errors: conflict (transfer.consent-decided), and those of confirm.
  awaitable<Result<void>> approve(std::string request, DecidedBy by);
  // `said` is told to the consumer and stays out of the log.
  awaitable<Result<void>> reject(std::string request, DecidedBy by, std::string said);
  // What the operator knows of the agreement's confirmations beyond the ledger: a list of {id,
  // reference, opening}.
  Result<Json> references(const AgreementId& agreement) const;

  // --- at the consumer ---
  struct Asked {
    std::string request;
    RuleId duty;
    Instant since;
  };
  // Asks the provider for a consent. What is asked for already is given again. `said` is for people
  // there. Errors: not_found, invalid (as of confirm), forbidden (transfer.asked-by-consumer),
  // conflict (transfer.consent-given, transfer.agreement-not-active, transfer.consent-nowhere),
  // unavailable.
  awaitable<Result<Asked>> ask(
      AgreementId agreement, std::string duty, std::string said, AppId app
  );

  // --- by the other side: /tally/v1/agreements/<agreement>/… ---
  awaitable<HttpAnswer> receive_note(Received received);     // confirmations
  awaitable<HttpAnswer> receive_request(Received received);  // consent-requests

  // --- ProcessOwner: notes and requests on their way ---
  awaitable<Result<void>> on_delivered(OutgoingMessage message, std::string body) override;
  awaitable<Result<void>> on_refused(OutgoingMessage message, negotiation::Refused refused)
      override;
  std::string state_url(const OutgoingMessage& message) override;
  negotiation::Standing compare(const OutgoingMessage& message, const std::string& state) override;
  [[nodiscard]] std::optional<Nanos> deadline() const override;

 private:
  class Busy;
  struct Change;

  Result<negotiation::Agreement> agreement(const AgreementId& id, odrl::Side side) const;
  Result<usage::DutyState> duty(const AgreementId& id, const std::string& name, bool consent) const;
  Result<std::vector<Row>> rows_of(std::string_view kind, const AgreementId& agreement) const;
  [[nodiscard]] Change begin(
      const AgreementId& id, const usage::DutyState& duty, usage::DutyChange what, Instant at
  ) const;
  // Adds the note to the consumer, or nothing where nobody would understand it.
  Result<void> tell(Change& change, const negotiation::Agreement& agreement, DutyNote note) const;
  Result<void> settle_requests(Change& change, const usage::DutyState& duty, std::string_view state)
      const;
  awaitable<Result<void>> commit(Change change);
  awaitable<Result<Confirmed>> confirm_duty(
      negotiation::Agreement agreement,
      usage::DutyState duty,
      std::string reference,
      Instant at,
      std::string request,
      DecidedBy by
  );
  awaitable<HttpAnswer> take(
      negotiation::Agreement agreement, DutyNote note, std::string text, Row number
  );
  awaitable<HttpAnswer> refuse_note(
      int status, Message why, const PartyId& from, AgreementId about, std::string text
  );
  bool may_record(const PartyId& from);

  ConfirmationParts parts_;
  PartyId self_;
  // Agreements of which something is being committed.
  std::shared_ptr<std::set<std::string>> busy_ = std::make_shared<std::set<std::string>>();
  struct Allowance {
    Instant since;
    int count = 0;
  };
  std::map<std::string, Allowance> taken_;  // by sender: what it made us write
};

}  // namespace tally::transfer
