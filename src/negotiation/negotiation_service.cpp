#include "tally/negotiation/negotiation_service.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"

#include "negotiation_state.hpp"

namespace tally::negotiation {

using dsp::NegotiationEvent;
using dsp::NegotiationState;
using dsp::Role;

NegotiationService::NegotiationService(NegotiationParts parts, NegotiationSettings settings)
    : state_(std::make_unique<State>(std::move(parts), std::move(settings))) {
  state_->parts.delivery.serve(std::string(process_kind), *this);
}

NegotiationService::~NegotiationService() = default;

const PartnerLogs& NegotiationService::partners() const {
  return state_->partners;
}

Result<void> NegotiationService::load() {
  auto rows = all_rows(state_->parts.store, "agreement");
  if (!rows) return fail(std::move(rows));
  for (const auto& row : *rows) {
    auto agreement = parse_agreement(row);
    if (!agreement) return fail(std::move(agreement));
    // One that was never in force stays unknown to the enforcement point.
    if (agreement->finalized_at.empty()) continue;
    state_->partners.learn(*agreement);
    auto terms = terms_of(*agreement);
    if (!terms) return fail(std::move(terms));
    auto& enforcer = state_->parts.enforcer;
    enforcer.activate(std::move(*terms));
    // One that has ended is known as that, also when its record was still on its way to the log.
    if (agreement->status == AgreementStatus::suspended) {
      enforcer.shut(agreement->id, usage::Closed::suspended);
    } else if (agreement->status == AgreementStatus::expired) {
      enforcer.shut(agreement->id, usage::Closed::expired);
    } else if (agreement->status == AgreementStatus::terminated) {
      enforcer.shut(agreement->id, usage::Closed::terminated);
    }
  }
  return {};
}

Result<void> NegotiationService::resume() {
  for (const auto state :
       {NegotiationState::requested,
        NegotiationState::offered,
        NegotiationState::accepted,
        NegotiationState::agreed,
        NegotiationState::verified}) {
    auto rows = all_rows(state_->parts.store, process_kind, dsp::to_string(state));
    if (!rows) return fail(std::move(rows));
    for (const auto& row : *rows) state_->advance_soon(Pid(row.id));
  }
  return {};
}

Result<std::optional<Process>> NegotiationService::State::find(const Pid& pid) const {
  if (const auto* kept = under_way.find(pid)) return kept->process;
  auto row = parts.store.row(process_kind, pid.value);
  if (!row) return fail(std::move(row));
  if (!*row) return std::nullopt;
  auto process = parse_process(**row);
  if (!process) return fail(std::move(process));
  return std::move(*process);
}

Result<Process::AsRead> NegotiationService::State::as_stored(const Process& process) const {
  if (process.version == 0) return Process::AsRead{};  // a new one
  if (const auto* kept = under_way.find(process.pid)) return kept->process.as_read;
  auto row = parts.store.row(process_kind, process.pid.value);
  if (!row) return fail(std::move(row));
  if (!*row) return Process::AsRead{};
  if ((*row)->version == process.version) return process.as_read;
  // Another step was quicker: this one will not be committed.
  auto moved = parse_process(**row);
  if (!moved) return fail(std::move(moved));
  return moved->as_read;
}

Result<Agreement> NegotiationService::State::agreement_of(const Process& process) const {
  const auto* kept = under_way.find(process.pid);
  if (kept && kept->agreement) return *kept->agreement;
  auto agreement = find_agreement(parts.store, process.agreement);
  if (!agreement) return fail(std::move(agreement));
  if (!*agreement) return fail(ErrorKind::internal, {"negotiation.agreement-lost", {}});
  return std::move(**agreement);
}

Result<std::optional<Process>> NegotiationService::State::find_by_peer(
    const PartyId& peer, const Pid& peer_pid
) const {
  auto row = parts.store.row(peer_index_kind, peer_index(peer, peer_pid));
  if (!row) return fail(std::move(row));
  if (!*row) return std::nullopt;
  const auto index = parse_row(**row);
  if (!index) return tl::unexpected(index.error());
  return find(Pid(text_of(*index, "pid")));
}

// Every change of state is told by a record of its own, of this type where no other one says it.
void NegotiationService::State::note_move(Step& step, NegotiationState was) const {
  const auto is = step.process.heading();
  const auto about_contract = [](const audit::RecordDraft& draft) {
    return draft.type().starts_with("contract.");
  };
  if (was != is && std::none_of(step.drafts.begin(), step.drafts.end(), about_contract)) {
    step.drafts.push_back(draft("contract.moved", step.process));
  }
  for (auto& record : step.drafts) {
    if (!record.has("asset")) record.set("asset", step.process.asset.value);
    if (!about_contract(record)) continue;
    if (was != NegotiationState::none) record.set("before", dsp::to_string(was));
    record.set("state", dsp::to_string(is));
  }
}

awaitable<Result<void>> NegotiationService::State::commit(Step step) {
  const Pid pid = step.process.pid;
  const std::string key = step.process.key();
  auto stands = as_stored(step.process);
  if (!stands) co_return fail(std::move(stands));
  auto noted = note_approval(step, stands->waits);
  if (!noted) co_return fail(std::move(noted));
  note_move(step, stands->heading);
  Unpublished& entry = unpublished[pid.value];
  entry.crossed = entry.crossed || entry.steps > 0;
  if (entry.steps++ == 0) entry.shown = stands->shown;
  if (!step.close.empty()) parts.enforcer.shut(step.close, usage::Closed::terminated);

  std::string answering;
  if (step.answer) {
    answering = step.answer->process + " " + step.answer->message_id;
    unanswered.insert(answering);
  }

  Transaction transaction;
  transaction.puts = std::move(step.rows);
  if (step.agreement) transaction.puts.push_back(to_row(*step.agreement));
  transaction.puts.push_back(to_row(step.process));
  transaction.messages = step.messages;
  transaction.delivered_messages = step.dropped;
  transaction.answer = std::move(step.answer);
  auto drafts = std::move(step.drafts);
  auto done =
      co_await parts.journal.commit(std::move(transaction), std::move(drafts), step.priority);

  bool crossed = false;
  if (done || done.error().kind == ErrorKind::conflict) {
    Unpublished& same = unpublished[pid.value];
    crossed = same.crossed;
    if (--same.steps == 0) unpublished.erase(pid.value);
    unanswered.erase(answering);
  }
  if (!done) {
    under_way.forget(pid);
    co_return fail(std::move(done));
  }
  if (step.activate) {
    partners.learn(*step.agreement);
    parts.enforcer.activate(std::move(*step.activate));
  }
  if (crossed) {
    under_way.forget(pid);
  } else {
    keep(std::move(step.process), std::move(step.agreement));
  }
  for (const auto& id : step.dropped) parts.delivery.drop(key, id);
  parts.delivery.queue(std::move(step.messages));
  co_return Result<void>{};
}

void NegotiationService::State::keep(Process process, std::optional<Agreement> agreement) {
  // As the store has it now.
  ++process.version;
  process.as_read = process.as_written();
  if (agreement) {
    ++agreement->version;
  } else if (const auto* kept = under_way.find(process.pid)) {
    agreement = kept->agreement;
  }
  under_way.keep(std::move(process), std::move(agreement));
}

void NegotiationService::State::note_in(
    Process& process, std::string type, std::string id, std::string note
) const {
  process.history.add({format_micros(now()), "in", std::move(type), std::move(id), std::move(note)}
  );
}

void NegotiationService::State::note_out(
    Process& process, std::string type, std::string id, std::string note
) const {
  process.history.add({format_micros(now()), "out", std::move(type), std::move(id), std::move(note)}
  );
}

void NegotiationService::State::note_local(Process& process, std::string command, std::string note)
    const {
  process.history.add({format_micros(now()), "local", std::move(command), "", std::move(note)});
}

audit::RecordDraft NegotiationService::State::draft(std::string_view type, const Process& process)
    const {
  audit::RecordDraft record(type, event());
  if (!process.agreement.empty()) record.about(process.agreement);
  record.set("actor", settings.self);
  record.set("counterparty", process.peer);
  record.set("pid", process.pid.value);
  record.set("role", dsp::to_string(process.role));
  return record;
}

audit::RecordDraft NegotiationService::State::offered(const Process& process) const {
  auto record = draft("contract.offered", process);
  record.set("asset", process.asset.value).set("offer", text_of(*process.offer, "@id"));
  record.set("policy", sha256(to_jcs(*process.offer)));
  return record;
}

void NegotiationService::State::send(
    Step& step,
    NegotiationEvent event_sent,
    NegotiationState target,
    std::string_view path,
    const Json& body,
    std::string_view type
) const {
  HttpRequest request;
  request.method = "POST";
  request.body = body.dump();
  send(step, event_sent, target, path, std::move(request), text_of(body, "@id"), type);
}

void NegotiationService::State::send(
    Step& step,
    NegotiationEvent event_sent,
    NegotiationState target,
    std::string_view path,
    HttpRequest request,
    std::string message_id,
    std::string_view type
) const {
  Process& process = step.process;
  if (process.pending) step.dropped.push_back(process.pending->message);
  process.pending = Process::Pending{message_id, event_sent, target};
  process.approval.reset();
  const auto url = dsp::join_url(process.peer_base, path);
  note_out(process, std::string(type), message_id, "queued");
  step.messages.push_back(
      outgoing(std::move(message_id), process.key(), process.peer, url, request, now())
  );
}

namespace {

// What a person typed may name a person: it goes to the peer and stays out of the log.
Message without_free_text(Message reason) {
  const bool typed = reason.code == "negotiation.ended-by-operator-saying" ||
                     reason.code == "negotiation.rejected-saying";
  if (typed) reason.params.erase("reason");
  return reason;
}

}  // namespace

Result<void> NegotiationService::State::close_with(Step& step, const Message& reason, bool by_peer)
    const {
  Process& process = step.process;
  process.reason = reason;
  process.ended_by_peer = by_peer;
  auto record = draft("contract.terminated", process);
  record.set("reason", without_free_text(reason));
  record.set("by", by_peer ? "peer" : "self");
  step.drafts.push_back(std::move(record));
  step.priority = audit::Priority::reserved;
  if (process.agreement.empty()) return {};
  // From the store: once it is in force, others change it, too.
  auto agreement = find_agreement(parts.store, process.agreement);
  if (!agreement) return fail(std::move(agreement));
  if (!*agreement) return {};
  if ((*agreement)->status == AgreementStatus::active) step.close = process.agreement;
  step.agreement = std::move(*agreement);
  step.agreement->status = AgreementStatus::terminated;
  return {};
}

Result<void> NegotiationService::State::end(Step& step, const Message& reason) const {
  auto closed = close_with(step, reason, false);
  if (!closed) return closed;
  Process& process = step.process;
  if (process.peer_pid.empty()) {
    // The peer has not said its pid, so that nothing can be sent to it: what it may have begun ends
    // when it asks for our state.
    if (process.pending) step.dropped.push_back(process.pending->message);
    process.pending.reset();
    process.enter(NegotiationState::terminated, now());
    return {};
  }
  auto message =
      addressed<dsp::ContractNegotiationTerminationMessage>(process.pids(), parts.random);
  message.code = reason.code;
  message.reason = reason_list(reason);
  send(
      step,
      NegotiationEvent::termination,
      NegotiationState::terminated,
      dsp::negotiation_path(process.peer_pid, "termination"),
      dsp::to_json(message),
      "ContractNegotiationTerminationMessage"
  );
  return {};
}

// --- ProcessOwner --------------------------------------------------------------------------------

awaitable<Result<void>> NegotiationService::on_delivered(
    OutgoingMessage message, std::string body
) {
  const Pid pid(parse_process_key(message.process).id);
  for (;;) {
    auto found = state_->find(pid);
    if (!found) co_return fail(std::move(found));
    if (!*found) co_return Result<void>{};
    Step step;
    step.process = std::move(**found);
    Process& process = step.process;
    step.dropped.push_back(message.id);
    bool advances = false;
    if (process.pending && process.pending->message == message.id) {
      if (process.peer_pid.empty()) {
        // The answer to the message that began it names the peer's pid.
        const auto json = parse_json(body);
        if (json) {
          const auto pids = dsp::known_pids(*json, process.role);
          process.peer_pid = process.role == Role::provider ? pids.consumer : pids.provider;
        }
      }
      if (!dsp::is_final(process.state)) process.enter(process.pending->target, state_->now());
      process.pending.reset();
      if (process.peer_pid.empty() && !dsp::is_final(process.state)) {
        // Without the peer's pid the negotiation leads nowhere.
        const Message reason{"negotiation.answer-without-pid", {}};
        auto closed = state_->close_with(step, reason, false);
        if (!closed) co_return closed;
        process.enter(NegotiationState::terminated, state_->now());
      }
      state_->note_out(process, "", message.id, "delivered");
      advances = !dsp::is_final(process.state);
    }
    auto done = co_await state_->commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (done && advances) state_->advance_soon(pid);
    co_return done;
  }
}

awaitable<Result<void>> NegotiationService::on_refused(OutgoingMessage message, Refused refused) {
  const Pid pid(parse_process_key(message.process).id);
  for (;;) {
    auto found = state_->find(pid);
    if (!found) co_return fail(std::move(found));
    if (!*found) co_return Result<void>{};
    Step step;
    step.process = std::move(**found);
    Process& process = step.process;
    if (!process.pending || process.pending->message != message.id) {
      step.dropped.push_back(message.id);
    } else if (process.pending->event == NegotiationEvent::termination) {
      // Whatever the peer thinks of it, for us the negotiation has ended.
      step.dropped.push_back(message.id);
      process.pending.reset();
      process.enter(NegotiationState::terminated, state_->now());
      state_->note_out(process, "", message.id, std::to_string(refused.status));
    } else {
      Message reason = not_delivered("negotiation.not-delivered", state_->parts.store, message);
      bool by_peer = false;
      bool peer_is_final = process.peer_pid.empty();
      if (refused.why == Refused::Why::refused) {
        const auto json = parse_json(refused.body);
        const auto error =
            json ? dsp::from_json<dsp::ContractNegotiationError>(*json)
                 : Result<dsp::ContractNegotiationError>(tl::unexpected(json.error()));
        reason = error ? reason_from("negotiation.refused-by-peer", error->code, error->reason)
                       : Message{
                             "negotiation.refused-by-peer",
                             {{"code", std::to_string(refused.status)}, {"reason", ""}}};
        by_peer = true;
      } else if (refused.why == Refused::Why::diverged) {
        const auto json = parse_json(refused.peer_state);
        const auto state = dsp::parse_negotiation_state(json ? text_of(*json, "state") : "");
        const std::string peer_state(state ? dsp::to_string(*state) : "");
        reason = {
            "negotiation.diverged",
            {{"ours", std::string(dsp::to_string(process.state))}, {"peers", peer_state}}};
        peer_is_final = state && dsp::is_final(*state);
      }
      state_->note_out(process, "", message.id, std::to_string(refused.status));
      if (peer_is_final) {
        step.dropped.push_back(message.id);
        process.pending.reset();
        auto closed = state_->close_with(step, reason, by_peer);
        if (!closed) co_return closed;
        process.enter(NegotiationState::terminated, state_->now());
      } else {
        auto ended = state_->end(step, reason);
        if (!ended) co_return ended;
      }
    }
    auto done = co_await state_->commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    co_return done;
  }
}

std::string NegotiationService::state_url(const OutgoingMessage& message) {
  const auto found = state_->find(Pid(parse_process_key(message.process).id));
  if (!found || !*found || (*found)->peer_pid.empty()) return {};
  return dsp::join_url((*found)->peer_base, dsp::negotiation_path((*found)->peer_pid));
}

Standing NegotiationService::compare(const OutgoingMessage& message, const std::string& state) {
  const auto found = state_->find(Pid(parse_process_key(message.process).id));
  if (!found || !*found) return Standing::elsewhere;
  const Process& process = **found;
  if (!process.pending || process.pending->message != message.id) return Standing::elsewhere;
  const auto json = parse_json(state);
  const auto peers = dsp::parse_negotiation_state(json ? text_of(*json, "state") : "");
  if (!peers) return Standing::unchanged;  // an answer that says nothing: ask again later
  if (*peers == process.pending->target) return Standing::delivered;
  if (*peers == process.state) return Standing::unchanged;
  // A termination is legal from every state that is not final.
  const bool ends = process.pending->event == NegotiationEvent::termination;
  return ends && !dsp::is_final(*peers) ? Standing::unchanged : Standing::elsewhere;
}

std::optional<Nanos> NegotiationService::deadline() const {
  return state_->settings.retry_deadline;
}

}  // namespace tally::negotiation
