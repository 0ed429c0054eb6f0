// What providers send.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/policy_form.hpp"

#include "answers.hpp"
#include "negotiation_state.hpp"

namespace tally::negotiation {

using dsp::NegotiationEvent;
using dsp::NegotiationState;
using dsp::Role;

awaitable<HttpAnswer> NegotiationService::receive_initial_offer(Received received) {
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {});
  const auto pids = dsp::known_pids(body->json, Role::consumer);
  auto message = dsp::from_json<dsp::ContractOfferMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);
  State::Beginning beginning;
  beginning.role = Role::consumer;
  beginning.event = NegotiationEvent::offer_initial;
  beginning.state = NegotiationState::offered;
  beginning.type = "ContractOfferMessage";
  beginning.peer_pid = message->provider_pid;
  beginning.callback_address = std::move(message->callback_address);
  beginning.offer = std::move(message->offer);
  beginning.contexts = std::move(message->contexts);
  auto parsed = std::move(*body);
  co_return co_await state_->begin(
      std::move(received), std::move(parsed), pids, std::move(beginning)
  );
}

awaitable<HttpAnswer> NegotiationService::receive_offer(Received received) {
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {{}, Pid(received.own_pid)});
  const auto pids = dsp::known_pids(body->json, Role::consumer, Pid(received.own_pid));
  auto message = dsp::from_json<dsp::ContractOfferMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);
  const auto dialect = state_->dialect_of(received.caller.party, Role::consumer);
  const auto form = check_offer(message->offer, dialect);
  if (!form) co_return refuse(form.error(), pids);
  const auto reading = dsp::reading_of(message->offer, message->contexts, dialect);
  State::Judge judge = [this, reading, id = body->message_id, offer = message->offer](
                           Process process
                       ) -> Result<State::Verdict> {
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    if (!state_->accept(step, NegotiationEvent::offer)) {
      return state_->illegal(moved, NegotiationEvent::offer);
    }
    moved.offer = offer;
    moved.reading = reading;
    // The terms may change, the asset never does.
    if (text_of(offer, "target") != moved.asset.value) {
      moved.objection = Message{"negotiation.offer-differs", {}};
    }
    state_->note_in(moved, "ContractOfferMessage", id, "OFFERED");
    step.drafts.push_back(state_->offered(moved));
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  auto parsed = std::move(*body);
  co_return co_await state_->take(
      std::move(received), std::move(parsed), pids, Role::provider, std::move(judge)
  );
}

namespace {

// The first way in which `agreement`, its words being IRIs, is not what was asked for; nullopt: it
// is.
std::optional<Message> differs(const Json& agreement, const Process& process, const PartyId& self) {
  const auto differ = [](std::string_view member) {
    return Message{"negotiation.agreement-differs", {{"member", std::string(member)}}};
  };
  if (text_of(agreement, "target") != process.asset.value) return differ("target");
  if (text_of(agreement, "assigner") != process.peer.uri) return differ("assigner");
  if (text_of(agreement, "assignee") != self.uri) return differ("assignee");
  // The provider may say of which profile our words are where we did not; whether we know it, and
  // can enforce them, is looked at as of any agreement.
  Json asked = dsp::with_words(*process.offer, process.reading);
  const auto profile = agreement.find("profile");
  if (!asked.contains("profile") && profile != agreement.end()) asked["profile"] = *profile;
  if (!dsp::same_rules(agreement, asked)) return differ("permission");
  return std::nullopt;
}

}  // namespace

awaitable<HttpAnswer> NegotiationService::receive_agreement(Received received) {
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {{}, Pid(received.own_pid)});
  const auto pids = dsp::known_pids(body->json, Role::consumer, Pid(received.own_pid));
  auto message = dsp::from_json<dsp::ContractAgreementMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);
  const auto dialect = state_->dialect_of(received.caller.party, Role::consumer);
  const auto form = dsp::check_wire_policy(
      message->agreement,
      dsp::PolicyForm::agreement,
      "/agreement",
      dsp::PolicyOrigin::peer,
      dialect.empty
  );
  if (!form) co_return refuse(form.error(), pids);
  const auto agreement_id = check_id(text_of(message->agreement, "@id"), "/agreement/@id");
  if (!agreement_id) co_return refuse(agreement_id.error(), pids);

  const auto reading = dsp::reading_of(message->agreement, message->contexts, dialect);
  const bool is_signed = identity::has_message_signature(received.request);
  const auto verified = state_->signature_on(received);
  State::Judge judge = [this,
                        is_signed,
                        verified,
                        pids,
                        reading,
                        id = body->message_id,
                        document = message->agreement](Process process) -> Result<State::Verdict> {
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    Agreement agreement;
    agreement.id = AgreementId(text_of(document, "@id"));
    agreement.document = to_jcs(document);
    agreement.reading = reading;
    auto known = find_agreement(state_->parts.store, agreement.id);
    if (!known) return fail(std::move(known));
    const bool is_held =
        *known && (*known)->negotiation == moved.pid && (*known)->document == agreement.document;
    // What we agreed to already, in a message with another id: some providers send it so when our
    // verification came before they had stored that they sent it, and end the negotiation where it
    // is refused. Nothing of it is new.
    if (is_held && moved.state == NegotiationState::agreed) {
      // Not before the record of the first one is in the log.
      const bool in_work = state_->unpublished.contains(moved.pid.value);
      const Message busy{"negotiation.busy", {}};
      return State::Verdict{
          std::nullopt, in_work ? refuse(503, busy, pids) : state_->answer_of(moved)};
    }
    // An id that is known, here or in another negotiation, cannot mean something new.
    if (*known && !is_held) {
      const Message reused{"negotiation.agreement-id-reused", {{"agreement", agreement.id.value}}};
      state_->parts.notices.note(Severity::warning, reused);
      return State::Verdict{std::nullopt, refuse(400, reused, pids, "/agreement/@id")};
    }
    if (!state_->accept(step, NegotiationEvent::agreement)) {
      return state_->illegal(moved, NegotiationEvent::agreement);
    }
    agreement.our_side = odrl::Side::consumer;
    agreement.provider = moved.peer;
    agreement.consumer = state_->settings.self;
    agreement.asset = moved.asset;
    agreement.offer = moved.offer_id;
    agreement.negotiation = moved.pid;
    agreement.peer_base = moved.peer_base;
    const Json in_iris = dsp::with_words(document, reading);
    agreement.purposes = purposes_of(in_iris);
    agreement.made_at = text_of(document, "timestamp");
    if (verified) agreement.provider_signature = identity::to_archive_json(*verified);
    // Without a signer of our own nothing can be confirmed.
    agreement.confirmed = state_->parts.signer != nullptr;

    moved.objection = differs(in_iris, moved, state_->settings.self);
    if (!moved.objection && is_signed && !verified) {
      moved.objection = bounded(verified.error().message);
    } else if (!moved.objection && is_signed && verified->agreement != agreement.digest()) {
      moved.objection = Message{"negotiation.signed-something-else", {}};
    } else if (!moved.objection && !is_signed && !state_->parts.peers.accepts_unsigned(moved.peer)) {
      moved.objection = Message{"negotiation.not-signed", {}};
    }
    if (!moved.objection) {
      const auto terms = terms_of(agreement);
      if (!terms) {
        const Error& why = terms.error();
        moved.objection = bounded(
            {"negotiation.rule-not-enforceable",
             {{"rule", why.pointer}, {"problem", render(why.message, Lang::en)}}}
        );
      } else if (auto lacks = state_->lacks_key_exchange(*terms->policy, moved.peer)) {
        moved.objection = std::move(lacks);
      } else if (auto cannot = state_->lacks_informing(*terms->policy, moved.peer)) {
        moved.objection = std::move(cannot);
      } else if (!is_signed && asks_for_key_exchange(*terms->policy)) {
        moved.objection = Message{"negotiation.not-signed", {}};
      }
    }
    moved.agreement = agreement.id;
    state_->note_in(moved, "ContractAgreementMessage", id, "AGREED");
    auto record = state_->draft("contract.agreed", moved);
    record.set("policy", agreement.digest()).set("offer", agreement.offer.value);
    record.set("asset", agreement.asset.value);
    if (verified) record.set("signature", sha256(agreement.provider_signature));
    if (moved.objection) record.set("reason", *moved.objection);
    step.drafts.push_back(std::move(record));
    step.agreement = std::move(agreement);
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  auto parsed = std::move(*body);
  co_return co_await state_->take(
      std::move(received), std::move(parsed), pids, Role::provider, std::move(judge)
  );
}

}  // namespace tally::negotiation
