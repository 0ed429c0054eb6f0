// What follows by rule, without a person: each rule looks at the row alone, so that it happens once
// whatever was lost between two steps.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/witness.hpp"
#include "tally/core/digest.hpp"
#include "tally/dsp/binding.hpp"
#include "tally/dsp/policy_form.hpp"
#include "tally/identity/enrolment.hpp"
#include "tally/identity/message_signature.hpp"
#include "tally/odrl/compare.hpp"
#include "tally/odrl/terms.hpp"

#include "negotiation_state.hpp"

namespace tally::negotiation {

using dsp::NegotiationEvent;
using dsp::NegotiationState;
using dsp::Role;

namespace {

// The country in the certificate that a signature came with; empty without one.
std::string country_in(const std::string& archive) {
  const auto parsed = archive.empty() ? Json() : Json::parse(archive, nullptr, false);
  const auto pointer = Json::json_pointer("/chain/0");
  if (!parsed.is_object() || !parsed.contains(pointer) || !parsed.at(pointer).is_string()) {
    return {};
  }
  const auto leaf = from_base64(parsed.at(pointer).get_ref<const std::string&>());
  return leaf ? identity::country_of(*leaf) : std::string();
}

// The digest of the key statement that came with a signature; "asserted" without one.
std::string statement_of(const std::string& archive) {
  const auto parsed = archive.empty() ? Json() : Json::parse(archive, nullptr, false);
  const auto pointer = Json::json_pointer("/keyStatement/statement");
  if (!parsed.is_object() || !parsed.contains(pointer) || !parsed.at(pointer).is_string()) {
    return "asserted";
  }
  const auto jcs = from_base64(parsed.at(pointer).get_ref<const std::string&>());
  return jcs ? digest_text(sha256(*jcs)) : "asserted";
}

}  // namespace

bool asks_for_key_exchange(const odrl::CompiledPolicy& policy) {
  return policy.asks_for(odrl::iri::receipt_before_key, odrl::required_word);
}

void NegotiationService::State::advance_soon(const Pid& pid) {
  parts.tasks.spawn("negotiation", advance(pid));
}

awaitable<void> NegotiationService::State::advance(Pid pid) {
  for (;;) {
    auto found = find(pid);
    if (!found || !*found) co_return;
    auto process = std::move(**found);
    if (process.pending || dsp::is_final(process.state)) co_return;
    auto step = next_step(std::move(process));
    if (!step) {
      parts.notices.note(Severity::error, step.error().message);
      co_return;
    }
    if (!*step) co_return;
    auto taken = std::move(**step);
    const auto done = co_await commit(std::move(taken));
    if (!done && done.error().kind != ErrorKind::conflict) co_return;  // until a restart
  }
}

Result<std::optional<Message>> NegotiationService::State::objection_to(const PartyId& peer) const {
  auto found = audit::contradictions(parts.store, peer);
  if (!found) return fail(std::move(found));
  if (found->empty()) return std::nullopt;
  const auto& first = found->front();
  return bounded(
      {first.proven ? "negotiation.log-contradicts" : "negotiation.log-not-continued",
       {{"peer", peer.uri}, {"origin", first.origin}}}
  );
}

std::optional<Message> NegotiationService::State::waits_for(const PartyId& peer) const {
  const auto since = parts.unasked ? parts.unasked(peer) : std::nullopt;
  if (!since) return std::nullopt;
  // What its log was caught at ends a negotiation at once, and says more.
  const auto against = objection_to(peer);
  if (against && *against) return std::nullopt;
  return Message{
      "negotiation.not-asked-yet", {{"peer", peer.uri}, {"since", format_seconds(*since)}}};
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

Result<std::optional<Step>> NegotiationService::State::next_step(Process process) const {
  const auto as_optional = [](Result<Step> step) -> Result<std::optional<Step>> {
    if (!step) return fail(std::move(step));
    return std::optional<Step>(std::move(*step));
  };
  // Whoever shows two contradicting logs makes no new contract here, not even one that has begun.
  if (!process.objection) {
    auto against = objection_to(process.peer);
    if (!against) return fail(std::move(against));
    process.objection = std::move(*against);
  }
  // What has begun goes on once the peer has said that our log was not set back.
  if (!process.objection && waits_for(process.peer)) return std::nullopt;
  if (process.objection) {
    Step step;
    const Message reason = *process.objection;
    step.process = std::move(process);
    auto ended = end(step, reason);
    if (!ended) return fail(std::move(ended));
    return std::optional<Step>(std::move(step));
  }
  const bool provider = process.role == Role::provider;
  switch (process.state) {
    case NegotiationState::requested:
    case NegotiationState::accepted:
      if (!provider) return std::nullopt;
      return as_optional(agree(std::move(process)));
    case NegotiationState::offered:
      if (provider) return std::nullopt;
      return as_optional(accept_offer(std::move(process)));
    case NegotiationState::agreed:
      if (provider) return std::nullopt;
      return as_optional(verify(std::move(process)));
    case NegotiationState::verified:
      if (!provider) return std::nullopt;
      return as_optional(finalise(std::move(process)));
    case NegotiationState::none:
    case NegotiationState::finalized:
    case NegotiationState::terminated:
      break;
  }
  return std::nullopt;
}

namespace {

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

// The provider's rule: what stays within the offer is agreed, what goes beyond it is not.
Result<Step> NegotiationService::State::agree(Process process) const {
  Step step;
  const auto offer =
      parts.offers.find(process.offer_id, process.asset, Viewer{process.peer, process.subject});
  std::optional<Message> refusal;
  if (!offer) {
    refusal = Message{"negotiation.offer-withdrawn", {}};
  } else if (const auto wide = odrl::widens(offer->policy, process.offer)) {
    refusal = Message{
        wide->witness.empty() ? "negotiation.widens-offer" : "negotiation.permits-beyond-offer",
        {{"constraint", wide->left_operand.empty() ? wide->pointer : wide->left_operand},
         {"required", wide->required},
         {"found", wide->found},
         {"pointer", wide->pointer},
         {"example", odrl::to_text(wide->witness)}}};
  }
  Json document = dsp::policy_core(process.offer);
  Agreement agreement;
  bool demands_key_exchange = false;
  if (!refusal) {
    agreement.id = AgreementId(new_pid(parts.random).value);
    agreement.made_at = format_seconds(now());
    document["@id"] = agreement.id.value;
    document["@type"] = "Agreement";
    document["target"] = process.asset.value;
    document["assigner"] = settings.self.uri;
    document["assignee"] = process.peer.uri;
    document["timestamp"] = agreement.made_at;
    agreement.document = to_jcs(document);
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
    agreement.purposes = purposes_of(document);
    const auto terms = terms_of(agreement);
    if (terms) demands_key_exchange = asks_for_key_exchange(*terms->policy);
    if (!terms) {
      refusal = Message{
          "negotiation.rule-not-enforceable",
          {{"rule", terms.error().pointer}, {"problem", render(terms.error().message, Lang::en)}}};
    } else if (auto lacks = lacks_key_exchange(*terms->policy, process.peer)) {
      refusal = std::move(lacks);
    } else if (demands_key_exchange && !settings.keeps_keys) {
      refusal = Message{
          "negotiation.keeps-no-keys", {{"term", std::string(odrl::iri::receipt_before_key)}}};
    } else if (!parts.signer && offer->require_signature) {
      refusal = Message{"negotiation.cannot-sign", {}};
    }
  }
  if (refusal) {
    step.process = std::move(process);
    auto ended = end(step, bounded(*refusal));
    if (!ended) return fail(std::move(ended));
    return step;
  }

  process.agreement = agreement.id;
  // A receipt that nobody can check would be none.
  process.require_signature = offer->require_signature || demands_key_exchange;
  process.accept_unconfirmed = offer->accept_unconfirmed;
  const auto pids = process.pids();
  dsp::ContractAgreementMessage message;
  message.id = new_pid(parts.random).value;
  message.provider_pid = pids.provider;
  message.consumer_pid = pids.consumer;
  message.agreement = std::move(document);
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
  step.rows.push_back(to_row(agreement));
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

// The consumer's rule for a counter-offer that says what was asked for (others were objected to).
Result<Step> NegotiationService::State::accept_offer(Process process) const {
  Step step;
  step.process = std::move(process);
  const auto pids = step.process.pids();
  dsp::ContractNegotiationEventMessage message;
  message.id = new_pid(parts.random).value;
  message.provider_pid = pids.provider;
  message.consumer_pid = pids.consumer;
  message.event_type = dsp::EventType::accepted;
  HttpRequest request;
  request.method = "POST";
  request.body = dsp::to_json(message).dump();
  const auto path = dsp::negotiation_path(step.process.peer_pid, "events");
  send(
      step,
      NegotiationEvent::accepted,
      NegotiationState::accepted,
      path,
      std::move(request),
      *message.id,
      "ContractNegotiationEventMessage"
  );
  return step;
}

// The consumer's rule: an agreement without objection is confirmed, every rule of it.
Result<Step> NegotiationService::State::verify(Process process) const {
  auto agreement = find_agreement(parts.store, process.agreement);
  if (!agreement) return fail(std::move(agreement));
  if (!*agreement) return fail(ErrorKind::internal, {"negotiation.agreement-lost", {}});
  const auto terms = terms_of(**agreement);
  if (!terms) return tl::unexpected(terms.error());
  const auto pids = process.pids();
  dsp::ContractAgreementVerificationMessage message;
  message.id = new_pid(parts.random).value;
  message.provider_pid = pids.provider;
  message.consumer_pid = pids.consumer;
  const Digest enforces = enforces_digest(*terms->policy);
  auto made =
      sign(dsp::to_json(message).dump(), parts, settings, (*agreement)->digest(), enforces, now());
  (*agreement)->consumer_signature = std::move(made.archive);
  Step step;
  step.process = std::move(process);
  auto record = draft("contract.verified", step.process);
  record.set("policy", (*agreement)->digest());
  record.set("enforces", enforces);
  record.set("assurance", (*agreement)->confirmed ? "enforced" : "asserted");
  if (!(*agreement)->consumer_signature.empty()) {
    record.set("signature", sha256((*agreement)->consumer_signature));
  }
  step.drafts.push_back(std::move(record));
  step.rows.push_back(to_row(**agreement));
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
  auto agreement = find_agreement(parts.store, process.agreement);
  if (!agreement) return fail(std::move(agreement));
  if (!*agreement) return fail(ErrorKind::internal, {"negotiation.agreement-lost", {}});
  Step step;
  step.process = std::move(process);
  auto put = put_in_force(step, std::move(**agreement));
  if (!put) return fail(std::move(put));
  const auto pids = step.process.pids();
  dsp::ContractNegotiationEventMessage message;
  message.id = new_pid(parts.random).value;
  message.provider_pid = pids.provider;
  message.consumer_pid = pids.consumer;
  message.event_type = dsp::EventType::finalized;
  HttpRequest request;
  request.method = "POST";
  request.body = dsp::to_json(message).dump();
  const auto path = dsp::negotiation_path(step.process.peer_pid, "events");
  send(
      step,
      NegotiationEvent::finalized,
      NegotiationState::finalized,
      path,
      std::move(request),
      *message.id,
      "ContractNegotiationEventMessage"
  );
  return step;
}

Result<void> NegotiationService::State::put_in_force(Step& step, Agreement agreement) const {
  auto terms = terms_of(agreement);
  if (!terms) return fail(std::move(terms));
  agreement.status = AgreementStatus::active;
  agreement.finalized_at = format_micros(now());

  // What the agreement fixes is said here, once, for all records under it.
  auto record = draft("contract.finalized", step.process);
  record.set("asset", agreement.asset.value).set("offer", agreement.offer.value);
  record.set("policy", agreement.digest());
  if (!agreement.asset_version.empty()) record.set("assetVersion", agreement.asset_version);
  if (agreement.asset_level) record.set("level", *agreement.asset_level);
  if (!agreement.asset_class.empty()) record.set("class", agreement.asset_class);
  if (!agreement.purposes.empty()) record.set_json("purposes", agreement.purposes);
  Json limits = Json::array();
  for (const auto& rule : terms->policy->rules()) {
    for (const auto& limit : rule.limits) {
      limits.push_back(
          {{"rule", limit.rule.value},
           {"owner", odrl::to_string(limit.owner)},
           {"allowed", limit.allowed}}
      );
    }
  }
  record.set_json("limits", limits);
  Json retention = Json::array();
  for (const auto& term : terms->policy->log_retention()) {
    retention.push_back(format_duration(term));
  }
  if (!retention.empty()) record.set_json("retention", retention);
  const auto hash_of = [](const std::string& archive) {
    return archive.empty() ? std::string("asserted") : digest_text(sha256(archive));
  };
  const Json signatures = {
      {"provider", hash_of(agreement.provider_signature)},
      {"consumer", hash_of(agreement.consumer_signature)},
  };
  record.set_json("signatures", signatures);
  record.set_json(
      "statements",
      Json{
          {"provider", statement_of(agreement.provider_signature)},
          {"consumer", statement_of(agreement.consumer_signature)},
      }
  );
  record.set("assurance", agreement.confirmed ? "enforced" : "asserted");
  Json sources = {
      {"actor", "config"},
      {"asset", "agreement"},
      {"counterparty", "certificate"},
      {"policy", "agreement"},
      {"purposes", "agreement"},
  };
  // The provider's own rating; the consumer is not told and says nothing of it.
  if (agreement.asset_level) sources["level"] = "asset";
  if (!agreement.asset_class.empty()) sources["class"] = "asset";
  // What an authority vouched for comes before what was typed here.
  const bool provides = agreement.our_side == odrl::Side::provider;
  auto home = country_in(provides ? agreement.consumer_signature : agreement.provider_signature);
  if (!home.empty()) sources["jurisdiction"] = "certificate";
  if (home.empty()) {
    home = parts.peers.jurisdiction(agreement.peer());
    if (!home.empty()) sources["jurisdiction"] = "config";
  }
  if (!home.empty()) record.set("jurisdiction", home);
  record.set_json("sources", sources);
  step.drafts.push_back(std::move(record));
  step.rows.push_back(to_row(agreement));
  step.activate = std::move(*terms);
  return {};
}

}  // namespace tally::negotiation
