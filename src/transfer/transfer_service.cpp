#include "tally/transfer/transfer_service.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Role;
using dsp::TransferEvent;
using dsp::TransferState;
using negotiation::reason_from;
using negotiation::Refused;
using negotiation::Standing;
using negotiation::text_of;

TransferService::TransferService(TransferParts parts, TransferSettings settings)
    : state_(std::make_unique<State>(std::move(parts), std::move(settings))) {
  state_->parts.delivery.serve(std::string(process_kind), *this);
}

TransferService::~TransferService() = default;

Result<void> TransferService::load() {
  auto loaded = state_->parts.tokens.load(state_->parts.store);
  if (!loaded) return loaded;
  for (const auto state : {TransferState::started, TransferState::suspended}) {
    auto rows = all_rows(state_->parts.store, process_kind, dsp::to_string(state));
    if (!rows) return fail(std::move(rows));
    for (const auto& row : *rows) {
      const auto process = parse_process(row);
      if (!process) return tl::unexpected(process.error());
      if (!process->is_running()) state_->parts.tokens.rest(process->pid, true);
    }
  }
  return {};
}

void TransferService::holds_changed() {
  for (const auto& name : state_->pulls.names()) {
    const auto found = state_->find(Pid(name));
    if (found && *found && state_->parts.enforcer.held((*found)->agreement)) {
      state_->pulls.stop(name);
    }
  }
}

Result<void> TransferService::look_again() {
  for (const auto state :
       {TransferState::requested, TransferState::started, TransferState::suspended}) {
    auto rows = all_rows(state_->parts.store, process_kind, dsp::to_string(state));
    if (!rows) return fail(std::move(rows));
    for (const auto& row : *rows) {
      state_->advance_soon(Pid(row.id));
      state_->watch_soon(Pid(row.id));
    }
  }
  return {};
}

Result<void> TransferService::resume() {
  if (auto looked = look_again(); !looked) return looked;
  // A receipt may be owed whatever state its transfer is in.
  auto rows = all_rows(state_->parts.store, process_kind);
  if (!rows) return fail(std::move(rows));
  for (const auto& row : *rows) {
    const auto process = parse_process(row);
    if (!process) return tl::unexpected(process.error());
    if (process->is_owed()) state_->receipts_missing.insert(row.id);
    if (dsp::is_final(process->state)) {
      state_->drop_key(process->pid);
      const bool consumer = process->role == Role::consumer;
      if (consumer && process->sealed && !process->opened) state_->advance_soon(process->pid);
    }
    if (!process->owes_receipt()) continue;
    state_->parts.tasks.spawn("receipt", state_->await_receipt(process->pid));
  }
  return {};
}

std::size_t TransferService::receipts_missing() const {
  return state_->receipts_missing.size();
}

Result<std::optional<Process>> TransferService::State::find(const Pid& pid) const {
  auto row = parts.store.row(process_kind, pid.value);
  if (!row) return fail(std::move(row));
  if (!*row) return std::nullopt;
  auto process = parse_process(**row);
  if (!process) return fail(std::move(process));
  return std::move(*process);
}

Result<std::optional<Process>> TransferService::State::find_by_peer(
    const PartyId& peer, const Pid& peer_pid
) const {
  auto row = parts.store.row(peer_index_kind, peer_index(peer, peer_pid));
  if (!row) return fail(std::move(row));
  if (!*row) return std::nullopt;
  const auto index = negotiation::parse_row(**row);
  if (!index) return tl::unexpected(index.error());
  return find(Pid(text_of(*index, "pid")));
}

Result<Agreement> TransferService::State::agreement_of(const Process& process) const {
  auto agreement = negotiation::find_agreement(parts.store, process.agreement);
  if (!agreement) return fail(std::move(agreement));
  if (!*agreement) return fail(ErrorKind::internal, {"negotiation.agreement-lost", {}});
  return std::move(**agreement);
}

namespace {

// What tells of a change of the transfer's state.
constexpr std::array<std::string_view, 5> moving_records = {
    "transfer.completed",
    "transfer.requested",
    "transfer.started",
    "transfer.suspended",
    "transfer.terminated"};

}  // namespace

awaitable<Result<std::vector<audit::Appended>>> TransferService::State::commit(Step step) {
  const Pid pid = step.process.pid;
  const std::string key = step.process.key();
  auto before = find(pid);
  if (!before) co_return fail(std::move(before));
  for (auto& record : step.drafts) {
    const bool moves = std::ranges::find(moving_records, record.type()) != moving_records.end();
    if (moves && *before) record.set("before", dsp::to_string((*before)->shown()));
  }
  Unpublished& entry = unpublished[pid.value];
  if (entry.steps++ == 0) entry.shown = *before ? (*before)->shown() : TransferState::none;

  std::string answering;
  if (step.answer) {
    answering = step.answer->process + " " + step.answer->message_id;
    unanswered.insert(answering);
  }

  Transaction transaction;
  transaction.puts = std::move(step.rows);
  transaction.puts.push_back(to_row(step.process));
  transaction.erases = std::move(step.erases);
  transaction.messages = step.messages;
  transaction.delivered_messages = step.dropped;
  transaction.answer = std::move(step.answer);
  auto drafts = std::move(step.drafts);
  auto done =
      co_await parts.journal.commit(std::move(transaction), std::move(drafts), step.priority);

  if (done || done.error().kind == ErrorKind::conflict) {
    Unpublished& same = unpublished[pid.value];
    if (--same.steps == 0) unpublished.erase(pid.value);
    unanswered.erase(answering);
  }
  if (!done) co_return fail(std::move(done));
  switch (step.tokens) {
    case Step::Tokens::keep:
      break;
    case Step::Tokens::rest:
      parts.tokens.rest(pid, true);
      break;
    case Step::Tokens::wake:
      parts.tokens.rest(pid, false);
      break;
    case Step::Tokens::revoke:
      parts.tokens.revoke(pid);
      break;
  }
  if (step.process.is_owed()) {
    receipts_missing.insert(pid.value);
  } else {
    receipts_missing.erase(pid.value);
  }
  if (step.new_token) parts.tokens.add(*step.new_token);
  if (step.process.state != TransferState::started || step.process.pending) {
    pulls.stop(pid.value);
  }
  if (dsp::is_final(step.process.state)) {
    starts.erase(pid.value);
    watches.stop(pid.value);
    drop_key(pid);
  }
  for (const auto& message : step.messages) {
    const auto& pending = step.process.pending;
    const bool is_start =
        pending && pending->event == TransferEvent::start && pending->message == message.id;
    if (is_start) starts[pid.value] = message;
  }
  for (const auto& id : step.dropped) parts.delivery.drop(key, id);
  parts.delivery.queue(std::move(step.messages));
  co_return done;
}

LogPlace TransferService::State::place_of(const audit::Appended& appended) const {
  return {settings.log_origin, appended.seq, to_hex(appended.leaf)};
}

void TransferService::State::note(
    Process& process, std::string direction, std::string type, std::string id, std::string note
) const {
  process.history.add(
      {format_micros(now()), std::move(direction), std::move(type), std::move(id), std::move(note)}
  );
}

// --- ProcessOwner --------------------------------------------------------------------------------

awaitable<Result<void>> TransferService::on_delivered(OutgoingMessage message, std::string body) {
  const Pid pid(negotiation::parse_process_key(message.process).id);
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
      const auto event = process.pending->event;
      auto target = process.pending->target;
      if (process.peer_pid.empty()) {
        const auto json = parse_json(body);
        if (json) {
          const auto pids = dsp::known_pids(*json, process.role);
          process.peer_pid = process.role == Role::provider ? pids.consumer : pids.provider;
        }
      }
      process.pending.reset();
      const bool moves = !dsp::is_final(process.state);
      if (process.peer_pid.empty()) {
        const Message reason{"transfer.answer-without-pid", {}};
        auto closed = state_->close_with(step, reason, false);
        if (!closed) co_return closed;
        target = TransferState::terminated;
      }
      if (moves) process.enter(target, state_->now());
      if (moves && target == TransferState::suspended) step.tokens = Step::Tokens::rest;
      if (moves && event == TransferEvent::start) {
        step.tokens = Step::Tokens::wake;
        // A provider's start is recorded when it is sent: from then on data may leave.
        if (process.role == Role::consumer) {
          step.drafts.push_back(state_->draft("transfer.started", process));
        }
      }
      state_->note(process, "out", "", message.id, "delivered");
      advances = moves && !dsp::is_final(process.state);
    }
    auto done = co_await state_->commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    if (advances) {
      state_->advance_soon(pid);
      state_->watch_soon(pid);
    }
    co_return Result<void>{};
  }
}

awaitable<Result<void>> TransferService::on_refused(OutgoingMessage message, Refused refused) {
  const Pid pid(negotiation::parse_process_key(message.process).id);
  for (;;) {
    auto found = state_->find(pid);
    if (!found) co_return fail(std::move(found));
    if (!*found) co_return Result<void>{};
    Step step;
    step.process = std::move(**found);
    Process& process = step.process;
    if (!process.pending || process.pending->message != message.id) {
      step.dropped.push_back(message.id);
    } else if (process.pending->event == TransferEvent::termination) {
      step.dropped.push_back(message.id);
      process.pending.reset();
      process.enter(TransferState::terminated, state_->now());
      state_->note(process, "out", "", message.id, std::to_string(refused.status));
    } else {
      Message reason =
          negotiation::not_delivered("transfer.not-delivered", state_->parts.store, message);
      bool by_peer = false;
      bool peer_is_final = process.peer_pid.empty();
      std::optional<TransferState> peers;
      if (refused.why == Refused::Why::refused) {
        const auto json = parse_json(refused.body);
        const auto error = json ? dsp::from_json<dsp::TransferError>(*json)
                                : Result<dsp::TransferError>(tl::unexpected(json.error()));
        reason = error ? reason_from("transfer.refused-by-peer", error->code, error->reason)
                       : Message{
                             "transfer.refused-by-peer",
                             {{"code", std::to_string(refused.status)}, {"reason", ""}}};
        by_peer = true;
      } else if (refused.why == Refused::Why::diverged) {
        const auto json = parse_json(refused.peer_state);
        peers = dsp::parse_transfer_state(json ? text_of(*json, "state") : "");
        const std::string peer_state(peers ? dsp::to_string(*peers) : "");
        reason = {
            "transfer.diverged",
            {{"ours", std::string(dsp::to_string(process.state))}, {"peers", peer_state}}};
        peer_is_final = peers && dsp::is_final(*peers);
      }
      state_->note(process, "out", "", message.id, std::to_string(refused.status));
      if (peer_is_final) {
        step.dropped.push_back(message.id);
        process.pending.reset();
        auto closed = state_->close_with(step, reason, by_peer);
        if (!closed) co_return closed;
        process.enter(TransferState::terminated, state_->now());
      } else {
        auto ended = state_->end(step, reason);
        if (!ended) co_return ended;
      }
    }
    auto done = co_await state_->commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    co_return Result<void>{};
  }
}

std::string TransferService::state_url(const OutgoingMessage& message) {
  const auto found = state_->find(Pid(negotiation::parse_process_key(message.process).id));
  if (!found || !*found || (*found)->peer_pid.empty()) return {};
  return dsp::join_url((*found)->peer_base, dsp::transfer_path((*found)->peer_pid));
}

Standing TransferService::compare(const OutgoingMessage& message, const std::string& state) {
  const auto found = state_->find(Pid(negotiation::parse_process_key(message.process).id));
  if (!found || !*found) return Standing::elsewhere;
  const Process& process = **found;
  if (!process.pending || process.pending->message != message.id) return Standing::elsewhere;
  const auto json = parse_json(state);
  const auto peers = dsp::parse_transfer_state(json ? text_of(*json, "state") : "");
  if (!peers) return Standing::unchanged;
  if (*peers == process.pending->target) return Standing::delivered;
  if (*peers == process.state) return Standing::unchanged;
  const bool ends = process.pending->event == TransferEvent::termination;
  return ends && !dsp::is_final(*peers) ? Standing::unchanged : Standing::elsewhere;
}

std::optional<Nanos> TransferService::deadline() const {
  return state_->parts.limits.retry_deadline;
}

}  // namespace tally::transfer
