// What peers send about transfers.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Family;
using dsp::Role;
using dsp::TransferEvent;
using dsp::TransferState;
using negotiation::check_id;
using negotiation::error_answer;
using negotiation::json_answer;
using negotiation::known_answer;
using negotiation::parse_body;
using negotiation::reason_from;
using negotiation::remember;

namespace {

constexpr int most_decisions = 16;

HttpAnswer refuse(
    int status, const Message& message, const dsp::KnownPids& pids, std::string_view pointer = {}
) {
  return error_answer(Family::transfer, status, message, pids, pointer);
}

HttpAnswer refuse(const Error& error, const dsp::KnownPids& pids) {
  return error_answer(Family::transfer, error, pids);
}

HttpAnswer not_here(const dsp::KnownPids& pids) {
  return refuse(404, {"transfer.unknown-process", {}}, pids);
}

// The pids of a message, or of its path when it is not even JSON.
dsp::KnownPids own_only(Role role, const Pid& own) {
  return role == Role::provider ? dsp::KnownPids{own, {}} : dsp::KnownPids{{}, own};
}

}  // namespace

HttpAnswer TransferService::State::answer_of(const Process& process, int status) const {
  return json_answer(status, dsp::to_json(process.as_message()));
}

TransferService::State::Verdict TransferService::State::illegal(
    const Process& process, TransferEvent event_received
) const {
  const Message message{
      "transfer.illegal-move",
      {{"message", std::string(dsp::to_string(event_received))},
       {"state", std::string(dsp::to_string(process.shown()))}}};
  return {std::nullopt, refuse(400, message, process.pids())};
}

std::optional<TransferState> TransferService::State::accept(
    Step& step, TransferEvent event_received
) const {
  Process& process = step.process;
  const bool ending = process.pending && process.pending->event == TransferEvent::termination;
  if (ending && event_received != TransferEvent::termination) return std::nullopt;
  // So does our completion: a suspension that crosses it comes too late, and whoever sent it takes
  // the completion with it still under way.
  const bool completing = process.pending && process.pending->event == TransferEvent::completion;
  if (completing && event_received == TransferEvent::suspension) return std::nullopt;
  const Role sender = dsp::other(process.role);
  auto to = dsp::next(process.state, event_received, sender);
  if (!to && process.pending) to = dsp::next(process.pending->target, event_received, sender);
  if (!to) return std::nullopt;
  if (process.pending) {
    step.dropped.push_back(process.pending->message);
    process.pending.reset();
  }
  process.enter(*to, now());
  return to;
}

awaitable<HttpAnswer> TransferService::State::take(
    Received received, ParsedBody body, dsp::KnownPids pids, Role role, Decide decide
) {
  const Pid pid(received.own_pid);
  for (int decisions = 0; decisions < most_decisions; ++decisions) {
    auto found = find(pid);
    if (!found) co_return refuse(found.error(), pids);
    if (!*found || (*found)->peer != received.caller.party) co_return not_here(pids);
    Process& process = **found;
    const auto known = process.pids();
    const Pid& named_own = role == Role::provider ? pids.provider : pids.consumer;
    const Pid& named_peer = role == Role::provider ? pids.consumer : pids.provider;
    if (process.role != role || named_own != pid || named_peer.empty() ||
        (!process.peer_pid.empty() && named_peer != process.peer_pid)) {
      const Message wrong{"transfer.other-pids", {}};
      co_return refuse(400, wrong, known);
    }
    auto repeat = known_answer(parts.store, process.key(), body, Family::transfer, known);
    if (!repeat) co_return refuse(repeat.error(), known);
    if (*repeat) {
      if (is_unanswered(process, body.message_id)) {
        const Message busy{"transfer.busy", {}};
        co_return refuse(503, busy, known);
      }
      co_return **repeat;
    }
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
  const Message busy{"transfer.busy", {}};
  co_return refuse(503, busy, pids);
}

awaitable<HttpAnswer> TransferService::receive_request(Received received) {
  State& state = *state_;
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), {});
  const auto pids = dsp::known_pids(body->json, Role::provider);
  const auto message = dsp::from_json<dsp::TransferRequestMessage>(body->json);
  if (!message) co_return refuse(message.error(), pids);
  const PartyId peer = received.caller.party;
  const auto own_word = state.parts.peers.data_dialect(peer).call_format;
  const bool may_be_call = !own_word.empty() && message->format == own_word;
  if (!state.parts.peers.host_allowed(peer, message->callback_address)) {
    const Message outside{"negotiation.callback-not-allowed", {{"url", message->callback_address}}};
    co_return refuse(400, negotiation::bounded(outside), pids, "/callbackAddress");
  }
  const bool pushes = message->format.ends_with("-PUSH");
  if (pushes || message->data_address) {
    const Message push{"transfer.push-unsupported", {}};
    co_return refuse(400, push, pids, pushes ? "/format" : "/dataAddress");
  }

  for (int decisions = 0; decisions < most_decisions; ++decisions) {
    auto existing = state.find_by_peer(peer, message->consumer_pid);
    if (!existing) co_return refuse(existing.error(), pids);
    if (*existing) {
      const Process& process = **existing;
      const auto known = process.pids();
      auto repeat = known_answer(state.parts.store, process.key(), *body, Family::transfer, known);
      if (!repeat) co_return refuse(repeat.error(), known);
      const bool same =
          process.agreement == message->agreement_id &&
          (process.format == message->format || (may_be_call && process.format == call_format)) &&
          process.peer_base == message->callback_address;
      const bool in_work = *repeat ? state.is_unanswered(process, body->message_id)
                                   : state.unpublished.contains(process.pid.value);
      if (in_work) {
        const Message busy{"transfer.busy", {}};
        co_return refuse(503, busy, known);
      }
      // DSP 2025-1, 7.6 of the digest: a repeat of the request gets the start message again.
      if (same && process.state == TransferState::started && !process.pending) {
        const auto start = state.starts.find(process.pid.value);
        if (start != state.starts.end()) {
          state.parts.delivery.queue({start->second});
        } else if (!*repeat || (*repeat)->status < 400) {
          // Since a restart nobody knows the token any more: it goes out anew, with another.
          Step step;
          step.process = process;
          auto announced = state.announce(step, State::Former::stays);
          if (!announced) co_return refuse(announced.error(), known);
          auto done = co_await state.commit(std::move(step));
          if (!done && done.error().kind == ErrorKind::conflict) continue;
          if (!done) co_return refuse(done.error(), known);
        }
      }
      if (*repeat) co_return **repeat;
      if (!same) {
        const Message other{"transfer.other-request", {}};
        co_return refuse(400, other, known);
      }
      co_return state.answer_of(process);
    }

    auto agreement = negotiation::find_agreement(state.parts.store, message->agreement_id);
    if (!agreement) co_return refuse(agreement.error(), pids);
    // Somebody else's agreement is none for this purpose.
    const bool theirs = *agreement && (*agreement)->our_side == odrl::Side::provider &&
                        (*agreement)->consumer == peer;
    if (!theirs) {
      const Message unknown{"transfer.unknown-agreement", {}};
      co_return refuse(400, unknown, pids, "/agreementId");
    }
    // Its own consumer may know how it stands, and may hear of its end only here.
    if ((*agreement)->status != negotiation::AgreementStatus::active) {
      co_return refuse(400, not_active(**agreement), pids, "/agreementId");
    }
    std::string format = message->format;
    auto action = state.parts.formats.action_of((*agreement)->asset, format);
    // Of an asset that goes into custody this word may mean just that.
    if (!action && may_be_call) {
      format = call_format;
      action = state.parts.formats.action_of((*agreement)->asset, format);
    }
    if (!action) {
      const Message unknown{"transfer.unknown-format", {{"format", message->format}}};
      co_return refuse(400, negotiation::bounded(unknown), pids, "/format");
    }

    Step step;
    Process& process = step.process;
    process.pid = new_pid(state.parts.random);
    process.role = Role::provider;
    process.peer = peer;
    process.peer_pid = message->consumer_pid;
    process.peer_base = message->callback_address;
    process.enter(TransferState::requested, state.now());
    process.agreement = message->agreement_id;
    process.asset = (*agreement)->asset;
    process.format = format;
    process.action = *action;
    process.certificate = received.caller.certificate_sha256;
    process.began_at = format_micros(state.now());
    state.note(process, "in", "TransferRequestMessage", body->message_id, "REQUESTED");
    Row index;
    index.kind = peer_index_kind;
    index.id = peer_index(peer, process.peer_pid);
    index.owner = process.agreement.value;
    const Json index_body = {{"pid", process.pid.value}};
    index.body = index_body.dump();
    step.rows.push_back(std::move(index));
    auto record = state.draft("transfer.requested", process);
    record.set("format", process.format);
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
  const Message busy{"transfer.busy", {}};
  co_return refuse(503, busy, pids);
}

// The provider's part when the consumer ends a suspension: a start of its own with a fresh token,
// if the agreement still permits it. Otherwise why not.
Result<std::optional<Message>> TransferService::State::take_up(Step& step) const {
  auto agreement = agreement_of(step.process);
  if (!agreement) return fail(std::move(agreement));
  if (const auto hold = parts.enforcer.held(agreement->id)) {
    return fail(ErrorKind::unavailable, usage::explain(*hold, agreement->id));  // it ends nothing
  }
  auto permit = permits(step.process, *agreement);
  if (!permit) return fail(std::move(permit));
  if (permit->refusal) return permit->refusal;
  auto announced = announce(step, Former::ends);
  if (!announced) return fail(std::move(announced));
  return std::optional<Message>();
}

// The consumer's: where the data is and what opens it. What cannot be used is an objection.
void TransferService::State::take_address(
    Process& process, const std::optional<dsp::DataAddress>& address
) const {
  process.objection.reset();
  if (address) {
    // Some peers give the endpoint as a property.
    const auto* endpoint = address->endpoint ? &*address->endpoint : address->property("endpoint");
    if (endpoint != nullptr) process.endpoint = *endpoint;
    const auto* token = address->property("authorization");
    process.token = token != nullptr ? *token : std::string();
  }
  if (process.endpoint.size() > 2048 || process.token.size() > 8192) {
    process.endpoint.clear();
    process.token.clear();
  }
  if (process.endpoint.empty()) {
    process.objection = Message{"transfer.no-data-address", {}};
  } else if (!parts.peers.host_allowed(process.peer, process.endpoint)) {
    process.objection =
        negotiation::bounded({"transfer.endpoint-not-allowed", {{"url", process.endpoint}}});
  }
}

template <class M>
awaitable<HttpAnswer> TransferService::State::receive(
    Received received, Role expected, DecideOn<M> decide
) {
  const Pid own(received.own_pid);
  auto found = find(own);
  if (!found) co_return refuse(found.error(), {});
  const Role role = *found ? (*found)->role : expected;
  auto body = parse_body(received.request);
  if (!body) co_return refuse(body.error(), own_only(role, own));
  const auto pids = dsp::known_pids(body->json, role, own);
  if (!*found || (*found)->peer != received.caller.party) co_return not_here(pids);
  auto message = dsp::from_json<M>(body->json);
  if (!message) co_return refuse(message.error(), pids);
  Decide on_message = [decide = std::move(decide),
                       message = std::move(*message),
                       id = body->message_id](Process process) {
    return decide(message, id, std::move(process));
  };
  auto parsed = std::move(*body);
  co_return co_await take(
      std::move(received), std::move(parsed), pids, role, std::move(on_message)
  );
}

awaitable<HttpAnswer> TransferService::receive_start(Received received) {
  State::DecideOn<dsp::TransferStartMessage> decide =
      [this](
          const dsp::TransferStartMessage& message, const std::string& id, Process process
      ) -> Result<State::Verdict> {
    Process before = process;
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    // The consumer that asked to go on learns by the provider's own start where the data is now;
    // also when it has asked for another suspension meanwhile, which this start knows nothing of.
    const bool renews = moved.role == Role::consumer && moved.state == TransferState::started &&
                        (moved.asked_to_resume || moved.start_may_follow);
    const bool crosses = moved.pending && moved.pending->event == TransferEvent::start;
    // Whether it was sent before our suspension arrived there or after, nobody can tell here: it
    // may come again once the suspension has been answered, and then what both have is the same.
    const bool suspending = moved.pending && moved.pending->event == TransferEvent::suspension;
    if (!renews && suspending) {
      const Message busy{"transfer.busy", {}};
      return State::Verdict{std::nullopt, refuse(503, busy, moved.pids())};
    }
    if (moved.role == Role::provider && crosses && moved.state == TransferState::suspended) {
      // Ours is under way already and says what the consumer asks for. A second one with another
      // token might be taken for a repeat, and then the consumer had a token that opens nothing.
      moved.enter(TransferState::started, state_->now());
      state_->note(moved, "in", "TransferStartMessage", id, "STARTED");
      auto answer = state_->answer_of(moved);
      return State::Verdict{std::move(step), std::move(answer)};
    }
    if (!renews && !state_->accept(step, TransferEvent::start)) {
      return state_->illegal(moved, TransferEvent::start);
    }
    state_->note(moved, "in", "TransferStartMessage", id, "STARTED");
    if (!renews) step.drafts.push_back(state_->draft("transfer.started", moved));
    if (moved.role == Role::provider) {
      auto refusal = state_->take_up(step);
      if (!refusal) return fail(std::move(refusal));
      if (*refusal) {
        Step ending;
        ending.process = std::move(before);
        auto answer = refuse(400, **refusal, ending.process.pids());
        auto ended = state_->end(ending, **refusal);
        if (!ended) return fail(std::move(ended));
        return State::Verdict{std::move(ending), std::move(answer)};
      }
    } else {
      state_->take_address(moved, message.data_address);
      moved.asked_to_resume = false;
      // Ours may have arrived there after this one left, and then the token of another one counts.
      moved.start_may_follow = crosses;
    }
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  co_return co_await state_->receive(std::move(received), Role::consumer, std::move(decide));
}

awaitable<HttpAnswer> TransferService::receive_suspension(Received received) {
  State::DecideOn<dsp::TransferSuspensionMessage> decide =
      [this](
          const dsp::TransferSuspensionMessage& message, const std::string& id, Process process
      ) -> Result<State::Verdict> {
    const auto reason = reason_from("transfer.suspended-by-peer", message.code, message.reason);
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    // A consumer that asked to go on is STARTED before it has our start. Suspended again, it would
    // take that start, once it came, for one that ends this suspension: first the one, then the
    // other.
    const bool answering = moved.role == Role::provider && moved.state == TransferState::started &&
                           moved.pending && moved.pending->event == TransferEvent::start;
    if (answering) {
      const Message busy{"transfer.busy", {}};
      return State::Verdict{std::nullopt, refuse(503, busy, moved.pids())};
    }
    if (!state_->accept(step, TransferEvent::suspension)) {
      return state_->illegal(moved, TransferEvent::suspension);
    }
    state_->note(moved, "in", "TransferSuspensionMessage", id, reason.code);
    auto record = state_->draft("transfer.suspended", moved);
    record.set("reason", recorded(reason)).set("by", "peer");
    step.drafts.push_back(std::move(record));
    moved.reason = reason;
    moved.ended_by_peer = true;
    moved.asked_to_resume = false;
    moved.start_may_follow = false;
    step.tokens = Step::Tokens::rest;
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  co_return co_await state_->receive(std::move(received), Role::provider, std::move(decide));
}

awaitable<HttpAnswer> TransferService::receive_completion(Received received) {
  State::DecideOn<dsp::TransferCompletionMessage> decide =
      [this](
          const dsp::TransferCompletionMessage&, const std::string& id, Process process
      ) -> Result<State::Verdict> {
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    // Two that cross are one completion.
    const bool crosses = moved.pending && moved.pending->event == TransferEvent::completion;
    if (!state_->accept(step, TransferEvent::completion)) {
      return state_->illegal(moved, TransferEvent::completion);
    }
    state_->note(moved, "in", "TransferCompletionMessage", id, "COMPLETED");
    if (!crosses) step.drafts.push_back(state_->draft("transfer.completed", moved));
    // A consumer that keeps custody sends its receipt before it completes.
    const bool owed = moved.role == Role::provider && moved.sent && moved.received_receipt.empty();
    if (owed && !moved.receipt_missing) {
      moved.receipt_missing = true;
      step.drafts.push_back(state_->draft("receipt.missing", moved));
    }
    moved.token.clear();
    moved.reason.reset();  // of a suspension that this one crossed
    auto dropped = state_->drop_tokens(step);
    if (!dropped) return fail(std::move(dropped));
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  co_return co_await state_->receive(std::move(received), Role::provider, std::move(decide));
}

awaitable<HttpAnswer> TransferService::receive_termination(Received received) {
  State::DecideOn<dsp::TransferTerminationMessage> decide =
      [this](
          const dsp::TransferTerminationMessage& message, const std::string& id, Process process
      ) -> Result<State::Verdict> {
    const auto reason = reason_from("transfer.terminated-by-peer", message.code, message.reason);
    Step step;
    step.process = std::move(process);
    Process& moved = step.process;
    if (!state_->accept(step, TransferEvent::termination)) {
      return state_->illegal(moved, TransferEvent::termination);
    }
    state_->note(moved, "in", "TransferTerminationMessage", id, reason.code);
    auto closed = state_->close_with(step, reason, true);
    if (!closed) return fail(std::move(closed));
    auto answer = state_->answer_of(moved);
    return State::Verdict{std::move(step), std::move(answer)};
  };
  co_return co_await state_->receive(std::move(received), Role::provider, std::move(decide));
}

awaitable<HttpAnswer> TransferService::read(Received received) {
  const Pid pid(received.own_pid);
  auto found = state_->find(pid);
  if (!found) co_return refuse(found.error(), {});
  if (!*found || (*found)->peer != received.caller.party) co_return not_here({pid, {}});
  auto shown = (*found)->as_message();
  const auto unpublished = state_->unpublished.find(pid.value);
  if (unpublished != state_->unpublished.end()) {
    shown.state = unpublished->second.shown;
    if (shown.state == TransferState::none) co_return not_here({pid, {}});
  }
  co_return json_answer(200, dsp::to_json(shown));
}

}  // namespace tally::transfer
