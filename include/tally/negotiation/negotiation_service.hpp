// From a request to an agreement that both sides signed, in both roles.
//
// Each received message and each local command is one function: read the row, decide by the state
// table, commit row, outgoing message, answer and drafts together through the journal, and only
// then publish, send and answer. A version that moved meanwhile means: read and decide again. What
// follows by rule (agree, verify, finalise, terminate) is done by `advance`, which looks at the row
// alone, so that a restart takes it up where it stood. Home executor only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/journal.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/message.hpp"
#include "tally/core/notices.hpp"
#include "tally/core/store.hpp"
#include "tally/core/task_group.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/identity/trust.hpp"
#include "tally/negotiation/agreement.hpp"
#include "tally/negotiation/delivery.hpp"
#include "tally/negotiation/partner_logs.hpp"
#include "tally/negotiation/peers.hpp"
#include "tally/negotiation/received.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::negotiation {

// An offer as one party may see it, at this moment.
struct VisibleOffer {
  OfferId id;
  AssetId asset;
  std::string asset_version;
  std::optional<int> asset_level;  // security level and class, where the catalogue knows them
  std::string asset_class;
  Json policy;  // the Offer
  bool require_signature = true;
  bool accept_unconfirmed = false;
};

// The catalogue, as negotiation asks it. nullopt for an offer that does not exist, that is not of
// `target`, or that `viewer` may not see: the three cannot be told apart.
class OfferBook {
 public:
  virtual ~OfferBook() = default;
  [[nodiscard]] virtual std::optional<VisibleOffer> find(
      const OfferId& offer, const AssetId& target, const Viewer& viewer
  ) const = 0;
};

struct NegotiationSettings {
  PartyId self;
  std::string base_url;  // of our DSP endpoints: also our callbackAddress
  // Whether this side, as a consumer, takes an agreement that the provider did not sign.
  bool accept_unsigned = false;
  // Whether this side, as a provider, can keep the keys of what goes out encrypted.
  bool keeps_keys = false;
  std::optional<identity::SignedKeyStatement> key_statement;
  Nanos retry_deadline = Limits{}.retry_deadline;
};

struct NegotiationParts {
  Store& store;
  audit::Journal& journal;
  Delivery& delivery;
  Clock& clock;
  Random& random;
  TaskGroup& tasks;
  Notices& notices;
  const OfferBook& offers;
  const PeerDirectory& peers;
  usage::Enforcer& enforcer;
  const identity::TrustSource& trust;
  std::shared_ptr<const identity::ContractSigner> signer;  // null: nothing is signed
  // Since when a party that witnesses our log owes the answer whether this log was set back;
  // contracts with it wait. Empty: nobody ever does. Once it has answered, `resume`.
  std::function<std::optional<Instant>(const PartyId&)> unasked = {};
};

// A consumer's wish.
struct NegotiateOrder {
  PartyId peer;
  std::string peer_base;  // empty: as configured
  OfferId offer;
  AssetId asset;
  Json policy;                        // the offer as the catalogue showed it
  std::vector<std::string> purposes;  // IRIs; they narrow every permission
};

class NegotiationService final : public ProcessOwner {
 public:
  NegotiationService(NegotiationParts parts, NegotiationSettings settings);
  ~NegotiationService() override;

  // --- at start ---
  // Activates what is active in the store. Before anything is served.
  Result<void> load();
  // Takes up every negotiation that is not at its end.
  Result<void> resume();

  // --- DSP, as provider ---
  awaitable<HttpAnswer> receive_request(Received received);  // begins one
  awaitable<HttpAnswer> receive_counter_request(Received received);
  awaitable<HttpAnswer> receive_verification(Received received);
  // --- as consumer ---
  awaitable<HttpAnswer> receive_initial_offer(Received received);  // begins one
  awaitable<HttpAnswer> receive_offer(Received received);
  awaitable<HttpAnswer> receive_agreement(Received received);
  // --- either: the role of the process decides ---
  awaitable<HttpAnswer> receive_event(Received received);
  awaitable<HttpAnswer> receive_termination(Received received);
  awaitable<HttpAnswer> read(Received received);

  // --- local commands ---
  // The pid of the negotiation that began; its request is on its way. Errors: invalid
  // (negotiation.peer-unknown, negotiation.offer-malformed), conflict (negotiation.log-*: what the
  // log of the peer was caught at), unavailable (also negotiation.not-asked-yet: the peer witnesses
  // our log and has not said yet what it knows of it).
  awaitable<Result<Pid>> negotiate(NegotiateOrder order);
  // Errors: not_found, conflict (negotiation.cannot-terminate).
  awaitable<Result<void>> terminate(Pid pid, Message reason);
  // {pid, role, peer, state, offer, agreement, reason, history, …}. Errors: not_found.
  Result<Json> describe(const Pid& pid) const;
  Result<std::vector<Json>> list() const;
  // What those with whom there are agreements said of their logs. Complete after `load`.
  [[nodiscard]] const PartnerLogs& partners() const;

  // --- ProcessOwner ---
  awaitable<Result<void>> on_delivered(OutgoingMessage message, std::string body) override;
  awaitable<Result<void>> on_refused(OutgoingMessage message, Refused refused) override;
  std::string state_url(const OutgoingMessage& message) override;
  Standing compare(const OutgoingMessage& message, const std::string& state) override;
  [[nodiscard]] std::optional<Nanos> deadline() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// `policy` with one constraint "purpose eq <iri>" (several: isAnyOf) in every permission, in place
// of the purpose constraints that it has there. What negotiate() asks with.
Json with_purposes(Json policy, const std::vector<std::string>& purposes);
// The purposes that the permissions of a policy name.
std::vector<std::string> purposes_of(const Json& policy);

// A peer's `reason` list: what a Tally put there (code, parameters), else its words.
struct PeerReason {
  std::string code;
  std::string text;
  std::optional<Message> message;
};

}  // namespace tally::negotiation
