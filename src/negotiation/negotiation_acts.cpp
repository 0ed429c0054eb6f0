// What this side sends in a negotiation, each act as one step: by rule, by itself or because a
// person said so.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"
#include "tally/dsp/binding.hpp"
#include "tally/dsp/policy_form.hpp"
#include "tally/identity/enrolment.hpp"
#include "tally/identity/message_signature.hpp"
#include "tally/negotiation/own_offer.hpp"
#include "tally/odrl/compare.hpp"
#include "tally/odrl/informing.hpp"
#include "tally/odrl/terms.hpp"

#include "negotiation_state.hpp"

namespace tally::negotiation {

using dsp::NegotiationEvent;
using dsp::NegotiationState;
using dsp::Role;

bool asks_for_key_exchange(const odrl::CompiledPolicy& policy) {
  return policy.asks_for(odrl::iri::receipt_before_key, odrl::required_word);
}

std::optional<Message> NegotiationService::State::lacks_key_exchange(
    const odrl::CompiledPolicy& policy, const PartyId& peer
) const {
  if (!asks_for_key_exchange(policy)) return std::nullopt;
  if (!parts.signer) return Message{"negotiation.cannot-sign", {}};
  if (parts.peers.tally_url(peer)) return std::nullopt;
  return bounded(
      {"negotiation.no-key-exchange",
       {{"term", std::string(odrl::iri::receipt_before_key)}, {"peer", peer.uri}}}
  );
}

std::optional<Message> NegotiationService::State::lacks_informing(
    const odrl::CompiledPolicy& policy, const PartyId& peer
) const {
  for (const auto& duty : odrl::informing_of(policy)) {
    if (duty.party == settings.self.uri) continue;
    // Without a party: the provider, who is one of the two.
    if (duty.party.empty() || duty.party == peer.uri) {
      if (parts.signer && parts.peers.tally_url(peer)) continue;
      return bounded({"negotiation.no-informing", {{"peer", peer.uri}}});
    }
    if (settings.informs && settings.informs(duty.party)) continue;
    return bounded({"negotiation.informed-party-unknown", {{"party", duty.party}}});
  }
  return std::nullopt;
}

namespace {

// What an agreement on `offer` says: everything that the offer says, what nobody here knows
// included, in lists where lists are meant.
Json agreed_policy(const Json& offer) {
  Json policy = dsp::policy_core(offer);
  if (const auto profile = offer.find("profile"); profile != offer.end()) {
    policy["profile"] = *profile;
  }
  return policy;
}

// The request as the peer will see it, its agreement signed when we have a key.
struct Signed {
  HttpRequest request;
  std::string archive;  // empty: not signed
};
Signed sign(
    std::string body,
    const NegotiationParts& parts,
    const NegotiationSettings& settings,
    const Digest& agreement,
    const std::optional<Digest>& enforces,
    Instant now
) {
  Signed made;
  made.request.method = "POST";
  made.request.body = std::move(body);
  if (!parts.signer) return made;
  identity::SigningInput input;
  input.agreement = agreement;
  input.enforces = enforces;
  input.created = now;
  input.nonce = uuid_v4(parts.random);
  input.key_statement = settings.key_statement;
  auto signature = identity::sign_message(made.request, *parts.signer, input);
  signature.signer = settings.self;
  // What our own chain was worth when we signed: nobody can find that out later. Whether it was
  // worth anything is for the peer to say.
  const auto own =
      parts.trust.current().store->verify(parts.signer->chain(), identity::Purpose::contract, now);
  if (own && own->party == settings.self) {
    signature.chain_not_after = own->not_after;
    signature.crl_state = own->crl_state;
    signature.lists = own->lists;
  }
  made.archive = identity::to_archive_json(signature);
  return made;
}

}  // namespace

std::optional<Message> NegotiationService::State::goes_beyond(
    const VisibleOffer& offer, const Process& process
) const {
  const auto wide = odrl::widens(offer.policy, dsp::as_read(*process.offer, process.reading));
  if (!wide) return std::nullopt;
  return bounded(
      {wide->witness.empty() ? "negotiation.widens-offer" : "negotiation.permits-beyond-offer",
       {{"constraint", wide->left_operand.empty() ? wide->pointer : wide->left_operand},
        {"required", wide->required},
        {"found", wide->found},
        {"pointer", wide->pointer},
        {"example", odrl::to_text(wide->witness)}}}
  );
}

dsp::Contexts NegotiationService::State::contexts_to(const Process& process) const {
  return dsp::contexts_for(parts.peers.policy_dialect(process.peer), process.reading);
}

Result<Step> NegotiationService::State::act(Process process, const Reaction& reaction) const {
  switch (reaction.act) {
    case Act::offer:
      return offer(std::move(process), reaction.policy);
    case Act::agree:
      return agree(std::move(process));
    case Act::finalize:
      return finalise(std::move(process));
    case Act::accept:
      return accept_offer(std::move(process));
    case Act::counter:
      return counter(std::move(process), reaction.policy);
    case Act::verify:
      return verify(std::move(process));
    case Act::terminate: {
      Message reason{"negotiation.ended-by-rule", {}};
      if (!reaction.reason.empty()) {
        reason = {"negotiation.ended-by-rule-saying", {{"reason", reaction.reason}}};
      }
      return ended(std::move(process), reason);
    }
    // The reader of the rules lets none of these through.
    case Act::start:
    case Act::resume:
    case Act::suspend:
    case Act::complete:
    case Act::wait:
      break;
  }
  const Message impossible{
      "negotiation.act-impossible", {{"act", std::string(to_string(reaction.act))}}};
  return fail(ErrorKind::internal, impossible);
}

Result<Step> NegotiationService::State::ended(Process process, const Message& reason) const {
  Step step;
  step.process = std::move(process);
  auto done = end(step, bounded(reason));
  if (!done) return fail(std::move(done));
  return step;
}

Result<Step> NegotiationService::State::offer(Process process, const std::optional<Json>& policy)
    const {
  const auto known = parts.offers.find(process.offer_id, process.asset, process.viewer());
  if (!known) return ended(std::move(process), {"negotiation.offer-withdrawn", {}});
  Json proposed = known->policy;
  if (policy) {
    // Other terms are another offer; the catalogue's id would say what it does not offer.
    auto made = own_offer(*policy, OfferId(new_pid(parts.random).value), process.asset);
    if (!made) return fail(std::move(made));
    proposed = *std::move(made);
  }
  Step step;
  step.process = std::move(process);
  step.process.offer = proposed;
  step.process.reading = {};
  const auto pids = step.process.pids();
  const bool begins = step.process.state == NegotiationState::none;
  dsp::ContractOfferMessage message;
  message.id = new_pid(parts.random).value;
  message.provider_pid = pids.provider;
  if (begins) {
    message.callback_address = settings.base_url(step.process.peer);
  } else {
    message.consumer_pid = pids.consumer;
  }
  message.offer = std::move(proposed);
  message.contexts = contexts_to(step.process);
  step.drafts.push_back(offered(step.process));
  const auto path = begins ? std::string(dsp::negotiation_offers_path)
                           : dsp::negotiation_path(step.process.peer_pid, "offers");
  send(
      step,
      begins ? NegotiationEvent::offer_initial : NegotiationEvent::offer,
      NegotiationState::offered,
      path,
      dsp::to_json(message),
      "ContractOfferMessage"
  );
  return step;
}

Result<Step> NegotiationService::State::counter(Process process, const std::optional<Json>& policy)
    const {
  Result<Json> wanted = *process.asked;
  if (policy) {
    const auto reading = dsp::reading_by_all(*policy, parts.peers.policy_dialect(process.peer));
    wanted = own_offer(dsp::with_words(*policy, reading), process.offer_id, process.asset);
    if (!wanted) return fail(std::move(wanted));
  } else if (process.asked->is_null()) {
    // Nothing was asked for before: what was offered, in our own form.
    const auto dialect = dialect_of(process.peer, Role::consumer);
    Json offered = dsp::with_words(*process.offer, process.reading);
    wanted =
        offer_message(std::move(offered), process.offer_id, process.asset, "/offer", dialect.empty);
    if (!wanted) return ended(std::move(process), wanted.error().message);
  }
  Step step;
  step.process = std::move(process);
  step.process.offer = *wanted;
  step.process.reading = {};
  step.process.asked = step.process.offer;
  const auto pids = step.process.pids();
  const bool begins = step.process.state == NegotiationState::none;
  dsp::ContractRequestMessage message;
  message.id = new_pid(parts.random).value;
  message.consumer_pid = pids.consumer;
  // Exactly one of the two: the schema refuses a message with both.
  if (begins) {
    message.callback_address = settings.base_url(step.process.peer);
  } else {
    message.provider_pid = pids.provider;
  }
  message.offer = *std::move(wanted);
  message.contexts = contexts_to(step.process);
  step.drafts.push_back(offered(step.process));
  const auto path = begins ? std::string(dsp::negotiation_request_path)
                           : dsp::negotiation_path(step.process.peer_pid, "request");
  send(
      step,
      begins ? NegotiationEvent::request : NegotiationEvent::counter_request,
      NegotiationState::requested,
      path,
      dsp::to_json(message),
      "ContractRequestMessage"
  );
  return step;
}

// The provider's rule: what stays within the offer is agreed, what goes beyond it is not. What the
// consumer accepted is what we offered ourselves.
Result<Step> NegotiationService::State::agree(Process process) const {
  Step step;
  const auto offer = parts.offers.find(process.offer_id, process.asset, process.viewer());
  std::optional<Message> refusal;
  if (!offer) {
    refusal = Message{"negotiation.offer-withdrawn", {}};
  } else if (process.state != NegotiationState::accepted) {
    refusal = goes_beyond(*offer, process);
  }
  Json document = agreed_policy(*process.offer);
  Agreement agreement;
  bool demands_key_exchange = false;
  if (!refusal) {
    agreement.id = AgreementId(new_pid(parts.random).value);
    agreement.made_at = format_seconds(now());
    // The words of a request mean what they mean in the offer; some consumers leave its profile out
    // of what they send, and miss it in the agreement.
    const auto profile = offer->policy.find("profile");
    const bool asked = process.state != NegotiationState::accepted;
    if (asked && profile != offer->policy.end() && !document.contains("profile")) {
      document["profile"] = *profile;
    }
    document["@id"] = agreement.id.value;
    document["@type"] = "Agreement";
    document["target"] = process.asset.value;
    document["assigner"] = settings.self.uri;
    document["assignee"] = process.peer.uri;
    document["timestamp"] = agreement.made_at;
    agreement.document = to_jcs(document);
    agreement.reading = process.reading;
    agreement.our_side = odrl::Side::provider;
    agreement.provider = settings.self;
    agreement.consumer = process.peer;
    agreement.asset = process.asset;
    agreement.asset_version = offer->asset_version;
    agreement.asset_level = offer->asset_level;
    agreement.asset_class = offer->asset_class;
    agreement.offer = process.offer_id;
    agreement.negotiation = process.pid;
    agreement.peer_base = process.peer_base;
    agreement.purposes = purposes_of(dsp::with_words(document, process.reading));
    const auto terms = terms_of(agreement);
    if (terms) demands_key_exchange = asks_for_key_exchange(*terms->policy);
    if (!terms) {
      refusal = Message{
          "negotiation.rule-not-enforceable",
          {{"rule", terms.error().pointer}, {"problem", render(terms.error().message, Lang::en)}}};
    } else if (auto lacks = lacks_key_exchange(*terms->policy, process.peer)) {
      refusal = std::move(lacks);
    } else if (auto cannot = lacks_informing(*terms->policy, process.peer)) {
      refusal = std::move(cannot);
    } else if (demands_key_exchange && !settings.keeps_keys) {
      refusal = Message{
          "negotiation.keeps-no-keys", {{"term", std::string(odrl::iri::receipt_before_key)}}};
    } else if (!parts.signer && offer->require_signature) {
      refusal = Message{"negotiation.cannot-sign", {}};
    }
  }
  if (refusal) return ended(std::move(process), *refusal);

  process.agreement = agreement.id;
  // A receipt that nobody can check would be none.
  process.require_signature = offer->require_signature || demands_key_exchange;
  process.accept_unconfirmed = offer->accept_unconfirmed;
  process.served_each_time = offer->served_each_time;
  auto message = addressed<dsp::ContractAgreementMessage>(process.pids(), parts.random);
  message.agreement = std::move(document);
  message.contexts = contexts_to(process);
  auto made =
      sign(dsp::to_json(message).dump(), parts, settings, agreement.digest(), std::nullopt, now());
  agreement.provider_signature = std::move(made.archive);
  step.process = std::move(process);
  auto record = draft("contract.agreed", step.process);
  record.set("policy", agreement.digest()).set("offer", agreement.offer.value);
  record.set("asset", agreement.asset.value);
  if (!agreement.provider_signature.empty()) {
    record.set("signature", sha256(agreement.provider_signature));
  }
  step.drafts.push_back(std::move(record));
  step.agreement = std::move(agreement);
  const auto path = dsp::negotiation_path(step.process.peer_pid, "agreement");
  send(
      step,
      NegotiationEvent::agreement,
      NegotiationState::agreed,
      path,
      std::move(made.request),
      *message.id,
      "ContractAgreementMessage"
  );
  return step;
}

void NegotiationService::State::send_event(Step& step, dsp::EventType event) const {
  const bool accepts = event == dsp::EventType::accepted;
  auto message = addressed<dsp::ContractNegotiationEventMessage>(step.process.pids(), parts.random);
  message.event_type = event;
  send(
      step,
      accepts ? NegotiationEvent::accepted : NegotiationEvent::finalized,
      accepts ? NegotiationState::accepted : NegotiationState::finalized,
      dsp::negotiation_path(step.process.peer_pid, "events"),
      dsp::to_json(message),
      "ContractNegotiationEventMessage"
  );
}

// The consumer takes what is on the table.
Result<Step> NegotiationService::State::accept_offer(Process process) const {
  Step step;
  step.process = std::move(process);
  send_event(step, dsp::EventType::accepted);
  return step;
}

// The consumer's rule: an agreement without objection is confirmed, every rule of it.
Result<Step> NegotiationService::State::verify(Process process) const {
  auto agreement = agreement_of(process);
  if (!agreement) return fail(std::move(agreement));
  const auto terms = terms_of(*agreement);
  if (!terms) return tl::unexpected(terms.error());
  auto message = addressed<dsp::ContractAgreementVerificationMessage>(process.pids(), parts.random);
  const Digest enforces = enforces_digest(*terms->policy);
  auto made =
      sign(dsp::to_json(message).dump(), parts, settings, agreement->digest(), enforces, now());
  agreement->consumer_signature = std::move(made.archive);
  Step step;
  step.process = std::move(process);
  auto record = draft("contract.verified", step.process);
  record.set("policy", agreement->digest());
  record.set("enforces", enforces);
  record.set("assurance", agreement->confirmed ? "enforced" : "asserted");
  if (!agreement->consumer_signature.empty()) {
    record.set("signature", sha256(agreement->consumer_signature));
  }
  step.drafts.push_back(std::move(record));
  step.agreement = std::move(*agreement);
  const auto path = dsp::negotiation_path(step.process.peer_pid, "agreement/verification");
  send(
      step,
      NegotiationEvent::verification,
      NegotiationState::verified,
      path,
      std::move(made.request),
      *message.id,
      "ContractAgreementVerificationMessage"
  );
  return step;
}

// The provider's rule: a good verification puts the agreement in force, and then the peer is told.
Result<Step> NegotiationService::State::finalise(Process process) const {
  auto agreement = agreement_of(process);
  if (!agreement) return fail(std::move(agreement));
  Step step;
  step.process = std::move(process);
  auto put = put_in_force(step, std::move(*agreement));
  if (!put) return fail(std::move(put));
  send_event(step, dsp::EventType::finalized);
  return step;
}

}  // namespace tally::negotiation
