// What peers send: each function reads the row, judges by the state table, and commits state,
// answer and record together before it answers.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"
#include "tally/dsp/policy_form.hpp"
#include "tally/identity/message_signature.hpp"

#include "negotiation_state.hpp"

namespace tally::negotiation {

using dsp::Family;
using dsp::NegotiationEvent;
using dsp::NegotiationState;
using dsp::Role;

namespace {

HttpAnswer refuse(
    int status, const Message& message, const dsp::KnownPids& pids, std::string_view pointer = {}
) {
  return error_answer(Family::negotiation, status, message, pids, pointer);
}

HttpAnswer refuse(const Error& error, const dsp::KnownPids& pids) {
  return error_answer(Family::negotiation, error, pids);
}

HttpAnswer not_here(const dsp::KnownPids& pids) {
  return refuse(404, {"negotiation.unknown-process", {}}, pids);
}

// How often a step is decided anew when its row keeps moving.
constexpr int most_decisions = 16;

// The same words for an offer that does not exist and for one that is not for this party.
HttpAnswer unknown_offer(const dsp::KnownPids& pids) {
  return refuse(400, {"negotiation.unknown-offer", {}}, pids, "/offer");
}

Result<void> check_offer_ids(const Json& offer) {
  auto id = check_id(text_of(offer, "@id"), "/offer/@id");
  return id ? check_id(text_of(offer, "target"), "/offer/target") : id;
}

std::optional<NegotiationState> next_or_pending(
    const Process& process, NegotiationEvent event, Role sender
) {
  if (const auto to = dsp::next(process.state, event, sender)) return to;
  if (!process.pending) return std::nullopt;
  return dsp::next(process.pending->target, event, sender);
}

}  // namespace

HttpAnswer NegotiationService::State::answer_of(const Process& process, int status) const {
  return json_answer(status, dsp::to_json(process.as_message()));
}

NegotiationService::State::Verdict NegotiationService::State::illegal(
    const Process& process, NegotiationEvent event_received
) const {
  const Message message{
      "negotiation.illegal-move",
      {{"message", std::string(dsp::to_string(event_received))},
       {"state", std::string(dsp::to_string(process.shown()))}}};
  return {std::nullopt, refuse(400, message, process.pids())};
}

std::optional<NegotiationState> NegotiationService::State::accept(
    Step& step, NegotiationEvent event_received
) const {
  Process& process = step.process;
  const bool ending = process.pending && process.pending->event == NegotiationEvent::termination;
  // Our own termination is on its way: whatever crosses it loses, so that both sides end alike.
  if (ending && event_received != NegotiationEvent::termination) return std::nullopt;
  const auto to = next_or_pending(process, event_received, dsp::other(process.role));
  if (!to) return std::nullopt;
  if (process.pending) {
    step.dropped.push_back(process.pending->message);
    process.pending.reset();
  }
  process.state = *to;
  return to;
}

awaitable<HttpAnswer> NegotiationService::State::take(
    Received received, ParsedBody body, dsp::KnownPids pids, Role sender_role, Decide decide
) {
  const Pid pid(received.own_pid);
  for (int decisions = 0; decisions < most_decisions; ++decisions) {
    auto found = find(pid);
    if (!found) co_return refuse(found.error(), pids);
    // A stranger learns nothing, not even that the process exists.
    if (!*found || (*found)->peer != received.caller.party) co_return not_here(pids);
    Process& process = **found;
    if (process.role == sender_role) {
      const Message wrong{"negotiation.wrong-role", {}};
      co_return refuse(400, wrong, pids);
    }
    const auto known = process.pids();
    const Pid& named_own = process.role == Role::provider ? pids.provider : pids.consumer;
    const Pid& named_peer = process.role == Role::provider ? pids.consumer : pids.provider;
    if (named_own != pid || named_peer.empty() ||
        (!process.peer_pid.empty() && named_peer != process.peer_pid)) {
      const Message wrong{"negotiation.other-pids", {}};
      co_return refuse(400, wrong, known);
    }
    auto repeat = known_answer(parts.store, process.key(), body, Family::negotiation, known);
    if (!repeat) co_return refuse(repeat.error(), known);
    if (*repeat) {
      if (is_unanswered(process, body.message_id)) {
        const Message busy{"negotiation.busy", {}};
        co_return refuse(503, busy, known);
      }
      co_return **repeat;
    }
    // A message that overtakes the answer to our first one names the peer's pid.
    if (process.peer_pid.empty()) process.peer_pid = named_peer;
    auto verdict = decide(std::move(process));
    if (!verdict) co_return refuse(verdict.error(), known);
    if (!verdict->step) co_return verdict->answer;
    Step step = std::move(*verdict->step);
    step.answer = remember(step.process.key(), body, verdict->answer);
    auto done = co_await commit(std::move(step));
    if (done) {
      advance_soon(pid);
      co_return verdict->answer;
    }
    if (done.error().kind != ErrorKind::conflict) co_return refuse(done.error(), known);
  }
  const Message busy{"negotiation.busy", {}};
  co_return refuse(503, busy, pids);
}

// --- as provider ---------------------------------------------------------------------------------

awaitable<HttpAnswer> NegotiationService::receive_request(Received received) {
  State& state = *state_;
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {});
  const auto pids = dsp::known_pids(body->json, Role::provider);
  const auto message = dsp::from_json<dsp::ContractRequestMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);
  if (!message->callback_address) {
    const Message missing{"negotiation.callback-missing", {}};
    co_return refuse(400, missing, pids, "/callbackAddress");
  }
  const auto form =
      dsp::check_wire_policy(message->offer, dsp::PolicyForm::message_offer, "/offer");
  if (!form) co_return refuse(form.error(), pids);
  const auto ids = check_offer_ids(message->offer);
  if (!ids) co_return refuse(ids.error(), pids);
  const PartyId peer = received.caller.party;
  if (!state.parts.peers.host_allowed(peer, *message->callback_address)) {
    const Message outside{
        "negotiation.callback-not-allowed", {{"url", *message->callback_address}}};
    co_return refuse(400, outside, pids, "/callbackAddress");
  }

  for (int decisions = 0; decisions < most_decisions; ++decisions) {
    auto existing = state.find_by_peer(peer, message->consumer_pid);
    if (!existing) co_return refuse(existing.error(), pids);
    if (*existing) {
      const Process& process = **existing;
      const auto known = process.pids();
      auto repeat =
          known_answer(state.parts.store, process.key(), *body, Family::negotiation, known);
      if (!repeat) co_return refuse(repeat.error(), known);
      if (!*repeat) co_return state.illegal(process, NegotiationEvent::request).answer;
      if (state.is_unanswered(process, body->message_id)) {
        const Message busy{"negotiation.busy", {}};
        co_return refuse(503, busy, known);
      }
      co_return **repeat;
    }
    if (const auto waits = state.waits_for(peer)) co_return refuse(503, *waits, pids);
    const OfferId offer_id(text_of(message->offer, "@id"));
    const AssetId asset(text_of(message->offer, "target"));
    if (!state.parts.offers.find(offer_id, asset, received.caller.viewer())) {
      co_return unknown_offer(pids);
    }

    Step step;
    Process& process = step.process;
    process.pid = new_pid(state.parts.random);
    process.role = Role::provider;
    process.peer = peer;
    process.subject = received.caller.subject;
    process.peer_pid = message->consumer_pid;
    process.peer_base = *message->callback_address;
    process.state = NegotiationState::requested;
    process.offer = message->offer;
    process.offer_id = offer_id;
    process.asset = asset;
    process.began_at = format_micros(state.now());
    state.note_in(process, "ContractRequestMessage", body->message_id, "REQUESTED");
    Row index;
    index.kind = peer_index_kind;
    index.id = peer_index(peer, process.peer_pid);
    index.owner = to_string(peer);
    const Json index_body = {{"pid", process.pid.value}};
    index.body = index_body.dump();
    step.rows.push_back(std::move(index));
    auto record = state.draft("contract.offered", process);
    record.set("asset", asset.value).set("offer", offer_id.value);
    record.set("policy", sha256(to_jcs(process.offer)));
    step.drafts.push_back(std::move(record));
    const auto answer = state.answer_of(process, 201);
    step.answer = remember(process.key(), *body, answer);
    const Pid pid = process.pid;
    auto done = co_await state.commit(std::move(step));
    if (done) {
      state.advance_soon(pid);
      co_return answer;
    }
    if (done.error().kind != ErrorKind::conflict) co_return refuse(done.error(), pids);
  }
  const Message busy{"negotiation.busy", {}};
  co_return refuse(503, busy, pids);
}

awaitable<HttpAnswer> NegotiationService::receive_counter_request(Received received) {
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {{Pid(received.own_pid)}, {}});
  const auto pids = dsp::known_pids(body->json, Role::provider, Pid(received.own_pid));
  auto message = dsp::from_json<dsp::ContractRequestMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);
  const auto form =
      dsp::check_wire_policy(message->offer, dsp::PolicyForm::message_offer, "/offer");
  if (!form) co_return refuse(form.error(), pids);
  const auto ids = check_offer_ids(message->offer);
  if (!ids) co_return refuse(ids.error(), pids);
  State::Decide decide = [this, pids, id = body->message_id, offer = message->offer](Process process
                         ) -> Result<State::Verdict> {
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    if (!state_->accept(step, NegotiationEvent::counter_request)) {
      return state_->illegal(moved, NegotiationEvent::counter_request);
    }
    const OfferId offer_id(text_of(offer, "@id"));
    const AssetId asset(text_of(offer, "target"));
    // The offer on the table may be one of the negotiation's own; the asset never changes.
    if (asset != moved.asset) return State::Verdict{std::nullopt, unknown_offer(pids)};
    moved.offer = offer;
    state_->note_in(moved, "ContractRequestMessage", id, "REQUESTED");
    auto record = state_->draft("contract.offered", moved);
    record.set("asset", asset.value).set("offer", offer_id.value);
    record.set("policy", sha256(to_jcs(offer)));
    step.drafts.push_back(std::move(record));
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  auto parsed = std::move(*body);
  co_return co_await state_->take(
      std::move(received), std::move(parsed), pids, Role::consumer, std::move(decide)
  );
}

awaitable<HttpAnswer> NegotiationService::receive_verification(Received received) {
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {{Pid(received.own_pid)}, {}});
  const auto pids = dsp::known_pids(body->json, Role::provider, Pid(received.own_pid));
  const auto message = dsp::from_json<dsp::ContractAgreementVerificationMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);

  // Whether there is a good signature does not depend on the row.
  const bool is_signed = identity::has_message_signature(received.request);
  const auto store = state_->parts.trust.current().store;
  const auto verified =
      is_signed
          ? identity::verify_message(received.request, *store, received.caller.party, state_->now())
          : Result<identity::MessageSignature>(
                fail(ErrorKind::unauthenticated, {"negotiation.not-signed", {}})
            );
  State::Decide decide = [this, is_signed, verified, id = body->message_id](Process process
                         ) -> Result<State::Verdict> {
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    if (!state_->accept(step, NegotiationEvent::verification)) {
      return state_->illegal(moved, NegotiationEvent::verification);
    }
    auto agreement = find_agreement(state_->parts.store, moved.agreement);
    if (!agreement) return fail(std::move(agreement));
    if (!*agreement) return fail(ErrorKind::internal, {"negotiation.agreement-lost", {}});
    auto terms = terms_of(**agreement);
    if (!terms) return fail(std::move(terms));
    const Digest expected = enforces_digest(*terms->policy);
    if (verified) {
      (*agreement)->consumer_signature = identity::to_archive_json(*verified);
      (*agreement)->confirmed = verified->enforces == expected;
    }
    if (is_signed && !verified) {
      moved.objection = bounded(verified.error().message);
    } else if (is_signed && verified->agreement != (*agreement)->digest()) {
      moved.objection = Message{"negotiation.signed-something-else", {}};
    } else if (!is_signed && moved.require_signature) {
      moved.objection = Message{"negotiation.not-signed", {}};
    } else if (!(*agreement)->confirmed && !moved.accept_unconfirmed) {
      moved.objection = Message{"negotiation.not-confirmed", {}};
    }
    state_->note_in(moved, "ContractAgreementVerificationMessage", id, "VERIFIED");
    auto record = state_->draft("contract.verified", moved);
    record.set("policy", (*agreement)->digest());
    record.set("assurance", (*agreement)->confirmed ? "enforced" : "asserted");
    if (verified) {
      record.set("signature", sha256((*agreement)->consumer_signature));
    }
    // What rests on the other side's word alone says so.
    if (verified && verified->enforces) {
      record.set("enforces", *verified->enforces);
    } else {
      record.set("enforces", "asserted");
    }
    if (moved.objection) record.set("reason", *moved.objection);
    step.drafts.push_back(std::move(record));
    step.rows.push_back(to_row(**agreement));
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  auto parsed = std::move(*body);
  co_return co_await state_->take(
      std::move(received), std::move(parsed), pids, Role::consumer, std::move(decide)
  );
}

// --- as consumer ---------------------------------------------------------------------------------

awaitable<HttpAnswer> NegotiationService::receive_initial_offer(Received received) {
  State& state = *state_;
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {});
  const auto pids = dsp::known_pids(body->json, Role::consumer);
  const auto message = dsp::from_json<dsp::ContractOfferMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);
  if (!message->callback_address) {
    const Message missing{"negotiation.callback-missing", {}};
    co_return refuse(400, missing, pids, "/callbackAddress");
  }
  const auto form =
      dsp::check_wire_policy(message->offer, dsp::PolicyForm::message_offer, "/offer");
  if (!form) co_return refuse(form.error(), pids);
  const auto ids = check_offer_ids(message->offer);
  if (!ids) co_return refuse(ids.error(), pids);
  const PartyId peer = received.caller.party;
  if (!state.parts.peers.host_allowed(peer, *message->callback_address)) {
    const Message outside{
        "negotiation.callback-not-allowed", {{"url", *message->callback_address}}};
    co_return refuse(400, outside, pids, "/callbackAddress");
  }
  for (int decisions = 0; decisions < most_decisions; ++decisions) {
    auto existing = state.find_by_peer(peer, message->provider_pid);
    if (!existing) co_return refuse(existing.error(), pids);
    if (*existing) {
      const Process& process = **existing;
      const auto known = process.pids();
      auto repeat =
          known_answer(state.parts.store, process.key(), *body, Family::negotiation, known);
      if (!repeat) co_return refuse(repeat.error(), known);
      if (!*repeat) co_return state.illegal(process, NegotiationEvent::offer_initial).answer;
      if (state.is_unanswered(process, body->message_id)) {
        const Message busy{"negotiation.busy", {}};
        co_return refuse(503, busy, known);
      }
      co_return **repeat;
    }
    if (const auto waits = state.waits_for(peer)) co_return refuse(503, *waits, pids);
    Step step;
    Process& process = step.process;
    process.pid = new_pid(state.parts.random);
    process.role = Role::consumer;
    process.peer = peer;
    process.peer_pid = message->provider_pid;
    process.peer_base = *message->callback_address;
    process.state = NegotiationState::offered;
    process.offer = message->offer;
    process.offer_id = OfferId(text_of(message->offer, "@id"));
    process.asset = AssetId(text_of(message->offer, "target"));
    process.began_at = format_micros(state.now());
    // Nobody here has asked for it: answered, then ended with the reason.
    process.objection = Message{"negotiation.not-asked-for", {}};
    state.note_in(process, "ContractOfferMessage", body->message_id, "OFFERED");
    Row index;
    index.kind = peer_index_kind;
    index.id = peer_index(peer, process.peer_pid);
    index.owner = to_string(peer);
    const Json index_body = {{"pid", process.pid.value}};
    index.body = index_body.dump();
    step.rows.push_back(std::move(index));
    auto record = state.draft("contract.offered", process);
    record.set("asset", process.asset.value).set("offer", process.offer_id.value);
    record.set("policy", sha256(to_jcs(process.offer)));
    step.drafts.push_back(std::move(record));
    const auto answer = state.answer_of(process, 201);
    step.answer = remember(process.key(), *body, answer);
    const Pid pid = process.pid;
    auto done = co_await state.commit(std::move(step));
    if (done) {
      state.advance_soon(pid);
      co_return answer;
    }
    if (done.error().kind != ErrorKind::conflict) co_return refuse(done.error(), pids);
  }
  const Message busy{"negotiation.busy", {}};
  co_return refuse(503, busy, pids);
}

awaitable<HttpAnswer> NegotiationService::receive_offer(Received received) {
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {{}, Pid(received.own_pid)});
  const auto pids = dsp::known_pids(body->json, Role::consumer, Pid(received.own_pid));
  auto message = dsp::from_json<dsp::ContractOfferMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);
  const auto form =
      dsp::check_wire_policy(message->offer, dsp::PolicyForm::message_offer, "/offer");
  if (!form) co_return refuse(form.error(), pids);
  const auto ids = check_offer_ids(message->offer);
  if (!ids) co_return refuse(ids.error(), pids);
  State::Decide decide = [this, id = body->message_id, offer = message->offer](Process process
                         ) -> Result<State::Verdict> {
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    if (!state_->accept(step, NegotiationEvent::offer)) {
      return state_->illegal(moved, NegotiationEvent::offer);
    }
    // What was asked for is accepted, under whatever id; anything else is not.
    const bool same = text_of(offer, "target") == moved.asset.value &&
                      to_jcs(dsp::policy_core(offer)) == to_jcs(dsp::policy_core(moved.offer));
    if (!same) moved.objection = Message{"negotiation.offer-differs", {}};
    state_->note_in(moved, "ContractOfferMessage", id, "OFFERED");
    auto record = state_->draft("contract.offered", moved);
    record.set("asset", moved.asset.value).set("offer", text_of(offer, "@id"));
    record.set("policy", sha256(to_jcs(offer)));
    step.drafts.push_back(std::move(record));
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  auto parsed = std::move(*body);
  co_return co_await state_->take(
      std::move(received), std::move(parsed), pids, Role::provider, std::move(decide)
  );
}

namespace {

// The first way in which `agreement` is not what was asked for; nullopt: it is.
std::optional<Message> differs(const Json& agreement, const Process& process, const PartyId& self) {
  const auto differ = [](std::string_view member) {
    return Message{"negotiation.agreement-differs", {{"member", std::string(member)}}};
  };
  if (text_of(agreement, "target") != process.asset.value) return differ("target");
  if (text_of(agreement, "assigner") != process.peer.uri) return differ("assigner");
  if (text_of(agreement, "assignee") != self.uri) return differ("assignee");
  if (to_jcs(dsp::policy_core(agreement)) != to_jcs(dsp::policy_core(process.offer))) {
    return differ("permission");
  }
  return std::nullopt;
}

}  // namespace

awaitable<HttpAnswer> NegotiationService::receive_agreement(Received received) {
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {{}, Pid(received.own_pid)});
  const auto pids = dsp::known_pids(body->json, Role::consumer, Pid(received.own_pid));
  auto message = dsp::from_json<dsp::ContractAgreementMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);
  const auto form =
      dsp::check_wire_policy(message->agreement, dsp::PolicyForm::agreement, "/agreement");
  if (!form) co_return refuse(form.error(), pids);
  const auto agreement_id = check_id(text_of(message->agreement, "@id"), "/agreement/@id");
  if (!agreement_id) co_return refuse(agreement_id.error(), pids);

  const bool is_signed = identity::has_message_signature(received.request);
  const auto store = state_->parts.trust.current().store;
  const auto verified =
      is_signed
          ? identity::verify_message(received.request, *store, received.caller.party, state_->now())
          : Result<identity::MessageSignature>(
                fail(ErrorKind::unauthenticated, {"negotiation.not-signed", {}})
            );
  State::Decide decide =
      [this, is_signed, verified, pids, id = body->message_id, document = message->agreement](
          Process process
      ) -> Result<State::Verdict> {
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    if (!state_->accept(step, NegotiationEvent::agreement)) {
      return state_->illegal(moved, NegotiationEvent::agreement);
    }
    Agreement agreement;
    agreement.id = AgreementId(text_of(document, "@id"));
    agreement.document = to_jcs(document);
    // An id that is known already, here or in another negotiation, cannot mean something new.
    auto known = find_agreement(state_->parts.store, agreement.id);
    if (!known) return fail(std::move(known));
    if (*known) {
      const Message reused{"negotiation.agreement-id-reused", {{"agreement", agreement.id.value}}};
      state_->parts.notices.note(Severity::warning, reused);
      return State::Verdict{std::nullopt, refuse(400, reused, pids, "/agreement/@id")};
    }
    agreement.our_side = odrl::Side::consumer;
    agreement.provider = moved.peer;
    agreement.consumer = state_->settings.self;
    agreement.asset = moved.asset;
    agreement.offer = moved.offer_id;
    agreement.negotiation = moved.pid;
    agreement.peer_base = moved.peer_base;
    agreement.purposes = purposes_of(document);
    agreement.made_at = text_of(document, "timestamp");
    if (verified) agreement.provider_signature = identity::to_archive_json(*verified);
    // Without a signer of our own nothing can be confirmed.
    agreement.confirmed = state_->parts.signer != nullptr;

    moved.objection = differs(document, moved, state_->settings.self);
    if (!moved.objection && is_signed && !verified) {
      moved.objection = bounded(verified.error().message);
    } else if (!moved.objection && is_signed && verified->agreement != agreement.digest()) {
      moved.objection = Message{"negotiation.signed-something-else", {}};
    } else if (!moved.objection && !is_signed && !state_->settings.accept_unsigned) {
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
    step.rows.push_back(to_row(agreement));
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  auto parsed = std::move(*body);
  co_return co_await state_->take(
      std::move(received), std::move(parsed), pids, Role::provider, std::move(decide)
  );
}

// --- either role ---------------------------------------------------------------------------------

awaitable<HttpAnswer> NegotiationService::receive_event(Received received) {
  const Pid own(received.own_pid);
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {});
  auto found = state_->find(own);
  if (!found) co_return refuse(found.error(), {});
  const Role role = *found ? (*found)->role : Role::provider;
  const auto pids = dsp::known_pids(body->json, role, own);
  if (!*found) co_return not_here(pids);
  const auto message = dsp::from_json<dsp::ContractNegotiationEventMessage>(body->json);
  if (!message) {
    // Who is no party of it does not even learn that the message was wrong.
    if ((*found)->peer != received.caller.party) co_return not_here(pids);
    co_return refuse(message.error(), pids);
  }
  const bool finalized = message->event_type == dsp::EventType::finalized;
  const auto event = finalized ? NegotiationEvent::finalized : NegotiationEvent::accepted;
  State::Decide decide = [this, event, finalized, id = body->message_id](Process process
                         ) -> Result<State::Verdict> {
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    if (!state_->accept(step, event)) return state_->illegal(moved, event);
    state_->note_in(
        moved, "ContractNegotiationEventMessage", id, std::string(dsp::to_string(moved.state))
    );
    if (finalized) {
      auto agreement = find_agreement(state_->parts.store, moved.agreement);
      if (!agreement) return fail(std::move(agreement));
      if (!*agreement) return fail(ErrorKind::internal, {"negotiation.agreement-lost", {}});
      auto put = state_->put_in_force(step, std::move(**agreement));
      if (!put) return fail(std::move(put));
    }
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  auto parsed = std::move(*body);
  co_return co_await state_->take(
      std::move(received), std::move(parsed), pids, dsp::other(role), std::move(decide)
  );
}

awaitable<HttpAnswer> NegotiationService::receive_termination(Received received) {
  const Pid own(received.own_pid);
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {});
  auto found = state_->find(own);
  if (!found) co_return refuse(found.error(), {});
  const Role role = *found ? (*found)->role : Role::provider;
  const auto pids = dsp::known_pids(body->json, role, own);
  if (!*found) co_return not_here(pids);
  const auto message = dsp::from_json<dsp::ContractNegotiationTerminationMessage>(body->json);
  if (!message) {
    if ((*found)->peer != received.caller.party) co_return not_here(pids);
    co_return refuse(message.error(), pids);
  }
  const auto reason = reason_from("negotiation.terminated-by-peer", message->code, message->reason);
  State::Decide decide = [this, reason, id = body->message_id](Process process
                         ) -> Result<State::Verdict> {
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    if (!state_->accept(step, NegotiationEvent::termination)) {
      return state_->illegal(moved, NegotiationEvent::termination);
    }
    state_->note_in(moved, "ContractNegotiationTerminationMessage", id, reason.code);
    auto closed = state_->close_with(step, reason, true);
    if (!closed) return fail(std::move(closed));
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  auto parsed = std::move(*body);
  co_return co_await state_->take(
      std::move(received), std::move(parsed), pids, dsp::other(role), std::move(decide)
  );
}

awaitable<HttpAnswer> NegotiationService::read(Received received) {
  const Pid pid(received.own_pid);
  auto found = state_->find(pid);
  if (!found) co_return refuse(found.error(), {});
  if (!*found || (*found)->peer != received.caller.party) {
    co_return not_here({pid, {}});
  }
  auto shown = (*found)->as_message();
  const auto unpublished = state_->unpublished.find(pid.value);
  if (unpublished != state_->unpublished.end()) {
    shown.state = unpublished->second.shown;
    if (shown.state == NegotiationState::none) co_return not_here({pid, {}});
  }
  co_return json_answer(200, dsp::to_json(shown));
}

}  // namespace tally::negotiation
