// What peers send: each function reads the row, judges by the state table, and commits state,
// answer and record together before it answers.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/policy_form.hpp"

#include "answers.hpp"
#include "negotiation_state.hpp"

namespace tally::negotiation {

using dsp::Family;
using dsp::NegotiationEvent;
using dsp::NegotiationState;
using dsp::Role;

namespace {

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
    // The peer answers a message of ours whose receipt we have not seen.
    const auto between = process.pending->target;
    if (!dsp::next(process.state, event_received, dsp::other(process.role))) {
      process.enter(between, now());
    }
    step.dropped.push_back(process.pending->message);
    process.pending.reset();
  }
  process.enter(*to, now());
  return to;
}

dsp::PolicyDialect NegotiationService::State::dialect_of(const PartyId& peer, Role role) const {
  auto dialect = parts.peers.policy_dialect(peer);
  if (role == Role::provider) dialect.empty = dsp::EmptyPolicy::refused;
  return dialect;
}

Result<identity::MessageSignature> NegotiationService::State::signature_on(const Received& received
) const {
  if (!identity::has_message_signature(received.request)) {
    return fail(ErrorKind::unauthenticated, {"negotiation.not-signed", {}});
  }
  const auto store = parts.trust.current().store;
  return identity::verify_message(received.request, *store, received.caller.party, now());
}

awaitable<HttpAnswer> NegotiationService::State::begin(
    Received received, ParsedBody body, dsp::KnownPids pids, Beginning beginning
) {
  if (!beginning.callback_address) {
    const Message missing{"negotiation.callback-missing", {}};
    co_return refuse(400, missing, pids, "/callbackAddress");
  }
  const PartyId peer = received.caller.party;
  const auto dialect = dialect_of(peer, beginning.role);
  const auto form = check_offer(beginning.offer, dialect);
  if (!form) co_return refuse(form.error(), pids);
  if (!parts.peers.host_allowed(peer, *beginning.callback_address)) {
    const Message outside{
        "negotiation.callback-not-allowed", {{"url", *beginning.callback_address}}};
    co_return refuse(400, outside, pids, "/callbackAddress");
  }
  for (int decisions = 0; decisions < most_decisions; ++decisions) {
    auto existing = find_by_peer(peer, beginning.peer_pid);
    if (!existing) co_return refuse(existing.error(), pids);
    if (*existing) {
      const Process& process = **existing;
      const auto known = process.pids();
      auto repeat = known_answer(parts.store, process.key(), body, Family::negotiation, known);
      if (!repeat) co_return refuse(repeat.error(), known);
      if (!*repeat) co_return illegal(process, beginning.event).answer;
      if (is_unanswered(process, body.message_id)) {
        const Message busy{"negotiation.busy", {}};
        co_return refuse(503, busy, known);
      }
      co_return **repeat;
    }
    if (const auto waits = waits_for(peer)) co_return refuse(503, *waits, pids);
    Step step;
    Process& process = step.process;
    process.role = beginning.role;
    process.peer = peer;
    process.subject = received.caller.subject;
    process.peer_pid = beginning.peer_pid;
    process.peer_base = *beginning.callback_address;
    process.offer = beginning.offer;
    process.reading = dsp::reading_of(beginning.offer, beginning.contexts, dialect);
    process.offer_id = OfferId(text_of(beginning.offer, "@id"));
    process.asset = AssetId(text_of(beginning.offer, "target"));
    if (beginning.objection) {
      if (auto answer = beginning.objection(process)) co_return *std::move(answer);
    }
    process.pid = new_pid(parts.random);
    process.enter(beginning.state, now());
    process.began_at = format_micros(now());
    note_in(
        process,
        std::string(beginning.type),
        body.message_id,
        std::string(dsp::to_string(beginning.state))
    );
    Row index;
    index.kind = peer_index_kind;
    index.id = peer_index(peer, process.peer_pid);
    index.owner = to_string(peer);
    const Json index_body = {{"pid", process.pid.value}};
    index.body = index_body.dump();
    step.rows.push_back(std::move(index));
    step.drafts.push_back(offered(process));
    const auto answer = answer_of(process, 201);
    step.answer = remember(process.key(), body, answer);
    const Pid pid = process.pid;
    auto done = co_await commit(std::move(step));
    if (done) {
      advance_soon(pid);
      co_return answer;
    }
    if (done.error().kind != ErrorKind::conflict) co_return refuse(done.error(), pids);
  }
  const Message busy{"negotiation.busy", {}};
  co_return refuse(503, busy, pids);
}

awaitable<HttpAnswer> NegotiationService::State::take(
    Received received, ParsedBody body, dsp::KnownPids pids, Role sender_role, Judge judge
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
    auto verdict = judge(std::move(process));
    if (!verdict) co_return refuse(verdict.error(), known);
    if (!verdict->step) co_return verdict->answer;
    Step step = std::move(*verdict->step);
    step.answer = remember(step.process.key(), body, verdict->answer);
    const bool ends = dsp::is_final(step.process.state);
    auto done = co_await commit(std::move(step));
    if (done) {
      if (!ends) advance_soon(pid);
      co_return verdict->answer;
    }
    if (done.error().kind != ErrorKind::conflict) co_return refuse(done.error(), known);
  }
  const Message busy{"negotiation.busy", {}};
  co_return refuse(503, busy, pids);
}

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
  State::Judge judge = [this, event, finalized, id = body->message_id](Process process
                       ) -> Result<State::Verdict> {
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    if (!state_->accept(step, event)) return state_->illegal(moved, event);
    state_->note_in(
        moved, "ContractNegotiationEventMessage", id, std::string(dsp::to_string(moved.state))
    );
    if (finalized) {
      auto agreement = state_->agreement_of(moved);
      if (!agreement) return fail(std::move(agreement));
      auto put = state_->put_in_force(step, std::move(*agreement));
      if (!put) return fail(std::move(put));
    }
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  auto parsed = std::move(*body);
  co_return co_await state_->take(
      std::move(received), std::move(parsed), pids, dsp::other(role), std::move(judge)
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
  State::Judge judge = [this, reason, id = body->message_id](Process process
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
      std::move(received), std::move(parsed), pids, dsp::other(role), std::move(judge)
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
