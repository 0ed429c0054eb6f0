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
#include "tally/negotiation/approvals.hpp"
#include "tally/negotiation/delivery.hpp"
#include "tally/negotiation/partner_logs.hpp"
#include "tally/negotiation/peers.hpp"
#include "tally/negotiation/reactions.hpp"
#include "tally/negotiation/received.hpp"
#include "tally/usage/enforcer.hpp"

namespace tally::negotiation {

// Who decides what does not follow by itself.
enum class Decide { by_itself, by_person, by_hook };

// An offer as one party may see it, at this moment.
struct VisibleOffer {
  OfferId id;
  AssetId asset;
  std::string asset_version;
  std::optional<int> asset_level;  // security level and class, where the catalogue knows them
  std::string asset_class;
  Json policy;                    // the Offer
  bool served_each_time = false;  // each use is a call to this side; else data leaves as a whole
  Decide decide = Decide::by_itself;
  std::string hook;  // of by_hook: which
  bool require_signature = true;
  bool accept_unconfirmed = false;
};

// An asset as an agreement pins it.
struct PinnedAsset {
  std::string version;
  std::optional<int> level;
  std::string class_;
};

// The catalogue, as negotiation asks it. nullopt for an offer that does not exist, that is not of
// `target` (where one is given), or that `viewer` may not see: the three cannot be told apart.
class OfferBook {
 public:
  virtual ~OfferBook() = default;
  [[nodiscard]] virtual std::optional<VisibleOffer> find(
      const OfferId& offer, const AssetId& target, const Viewer& viewer
  ) const = 0;
  // Whoever may see it; nullopt: there is none.
  [[nodiscard]] virtual std::optional<PinnedAsset> asset(const AssetId& asset) const = 0;
};

struct NegotiationSettings {
  PartyId self;
  OurUrl base_url;  // of our DSP endpoints: also our callbackAddress
  // What becomes, at the consumer, of an offer that nobody here asked for, and (where the order
  // says nothing) of a counter-offer that is not what was asked for. By itself: it ends.
  Decide unasked_offers = Decide::by_itself;
  Decide counter_offers = Decide::by_itself;
  // Whether this side, as a provider, can keep the keys of what goes out encrypted.
  bool keeps_keys = false;
  // Whether a party that is neither side of an agreement can be told of uses; null: none can.
  std::function<bool(const std::string& party)> informs;
  std::optional<identity::SignedKeyStatement> key_statement;
  Nanos retry_deadline = Limits{}.retry_deadline;
};

struct NegotiationParts {
  Store& store;
  audit::Journal& journal;
  Delivery& delivery;
  Clock& clock;
  Timers& timers;
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
  const Reactions* reactions = nullptr;  // null: nobody wrote a rule
  DecisionHook* hook = nullptr;          // null: no offer says `hook`
};

// A consumer's wish.
struct NegotiateOrder {
  PartyId peer;
  std::string peer_base;  // empty: as configured
  OfferId offer;
  AssetId asset;
  Json policy;  // the offer as the catalogue showed it, or one's own words
  // The contexts that it stood under. None: those that are declared for the peer.
  std::optional<std::vector<std::string>> contexts = {};
  std::vector<std::string> purposes;          // IRIs; they narrow every permission
  std::optional<Decide> counter_offers = {};  // none: as NegotiationSettings says
};

// A provider's: one of our offers, made to a party that has not asked for it.
struct OfferOrder {
  PartyId peer;
  std::string peer_base;       // empty: as configured
  OfferId offer;               // of our catalogue, visible to `peer`
  AssetId asset;               // empty: the one that the offer is on
  std::optional<Json> policy;  // what to propose instead of the offer's own terms
};

// An agreement made elsewhere.
struct ImportOrder {
  PartyId peer;
  odrl::Side our_side = odrl::Side::consumer;
  Json document;  // an ODRL Agreement as the protocol has it
};
struct Imported {
  AgreementId id;
  bool is_new = true;  // false: it was here already, the same
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
  // The same as provider: a ContractOfferMessage is on its way. Errors: also not_found
  // (negotiation.no-offer-for-peer), invalid (the policy given).
  awaitable<Result<Pid>> make_offer(OfferOrder order);
  // Puts an agreement made elsewhere in force: nobody's signature shows it, and its record says
  // `asserted`. Durable on return. Errors: invalid (what a negotiated one must not be either, with
  // the pointer), conflict (negotiation.agreement-id-reused: the id is known with another document
  // or other parties; negotiation.log-*), unavailable.
  awaitable<Result<Imported>> import(ImportOrder order);
  // Errors: not_found, conflict (negotiation.cannot-terminate).
  awaitable<Result<void>> terminate(Pid pid, Message reason);

  // --- decisions by people ---
  // What waits for one: [{id, role, peer, state, offer, asset, since, why, policy, asked?,
  // leftByHook?}].
  Result<std::vector<Json>> approvals() const;
  // What would follow by itself if nothing had to be decided: agree, accept, verify, finalise. The
  // three are recorded, with who decided, before anything is sent. Errors: not_found, conflict
  // (negotiation.nothing-to-decide; negotiation.permits-beyond-offer and the like: what nobody can
  // approve), unavailable.
  awaitable<Result<void>> approve(Pid pid, Decider by);
  // Ends it; `reason` goes to the peer and into no record, and may be empty. Errors: as above.
  awaitable<Result<void>> reject(Pid pid, Decider by, std::string reason);
  // Proposes other terms: an offer of the provider, a request of the consumer. Errors: also invalid
  // (the policy, at /policy), conflict (negotiation.cannot-counter).
  awaitable<Result<void>> counter(Pid pid, Decider by, Json policy);

  // {pid, role, peer, state, offer, agreement, reason, history, …}. Errors: not_found.
  Result<Json> describe(const Pid& pid) const;
  // At most `most` behind the id `after`, in the order of their ids, without history and policy.
  Result<std::vector<Json>> list(const std::string& after, std::size_t most) const;
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
