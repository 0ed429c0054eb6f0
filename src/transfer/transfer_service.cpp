#include "tally/transfer/transfer_service.hpp"

#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Role;
using dsp::TransferEvent;
using dsp::TransferState;
using negotiation::reason_from;
using negotiation::reason_list;
using negotiation::Refused;
using negotiation::Standing;
using negotiation::text_of;

TransferService::TransferService(TransferParts parts, TransferSettings settings)
    : state_(std::make_unique<State>(std::move(parts), std::move(settings))) {
  state_->parts.delivery.serve(std::string(process_kind), *this);
}

TransferService::~TransferService() = default;

namespace {

// In one state, or in any.
Result<std::vector<Row>> rows_in(Store& store, std::optional<TransferState> state) {
  std::vector<Row> all;
  Store::Query query;
  query.kind = process_kind;
  if (state) query.state = dsp::to_string(*state);
  query.most = 500;
  for (;;) {
    auto page = store.rows(query);
    if (!page) return fail(std::move(page));
    if (page->empty()) return all;
    query.after = page->back().id;
    for (auto& row : *page) all.push_back(std::move(row));
  }
}

}  // namespace

Result<void> TransferService::load() {
  auto loaded = state_->parts.tokens.load(state_->parts.store);
  if (!loaded) return loaded;
  auto rows = rows_in(state_->parts.store, TransferState::suspended);
  if (!rows) return fail(std::move(rows));
  for (const auto& row : *rows) state_->parts.tokens.rest(Pid(row.id), true);
  return {};
}

Result<void> TransferService::resume() {
  for (const auto state : {TransferState::requested, TransferState::started}) {
    auto rows = rows_in(state_->parts.store, state);
    if (!rows) return fail(std::move(rows));
    for (const auto& row : *rows) state_->advance_soon(Pid(row.id));
  }
  // A receipt may be owed whatever state its transfer is in.
  auto rows = rows_in(state_->parts.store, {});
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

awaitable<Result<std::vector<audit::Appended>>> TransferService::State::commit(Step step) {
  const Pid pid = step.process.pid;
  const std::string key = step.process.key();
  auto before = find(pid);
  if (!before) co_return fail(std::move(before));
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
  if (dsp::is_final(step.process.state)) {
    starts.erase(pid.value);
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

audit::RecordDraft TransferService::State::draft(std::string_view type, const Process& process)
    const {
  audit::RecordDraft record(type, event());
  record.about(process.agreement);
  record.set("pid", process.pid.value);
  if (!process.peer_pid.empty()) record.set("peerPid", process.peer_pid.value);
  if (type == "transfer.started") record.set("role", dsp::to_string(process.role));
  return record;
}

LogPlace TransferService::State::place_of(const audit::Appended& appended) const {
  return {settings.log_origin, appended.seq, to_hex(appended.leaf)};
}

void TransferService::State::note(
    Process& process, std::string direction, std::string type, std::string id, std::string note
) const {
  negotiation::add_history(
      process.history,
      {format_micros(now()), std::move(direction), std::move(type), std::move(id), std::move(note)}
  );
}

void TransferService::State::send(
    Step& step,
    TransferEvent event_sent,
    TransferState target,
    std::string_view path,
    const Json& body,
    std::string_view type
) const {
  Process& process = step.process;
  if (process.pending) step.dropped.push_back(process.pending->message);
  const auto id = text_of(body, "@id");
  process.pending = Process::Pending{id, event_sent, target};
  HttpRequest request;
  request.method = "POST";
  request.body = body.dump();
  const auto url = dsp::join_url(process.peer_base, path);
  note(process, "out", std::string(type), id, "queued");
  step.messages.push_back(
      negotiation::outgoing(id, process.key(), process.peer, url, request, now())
  );
}

Result<void> TransferService::State::drop_tokens(Step& step) const {
  if (step.process.role != Role::provider) return {};
  auto rows = parts.tokens.rows_of(parts.store, step.process.pid);
  if (!rows) return fail(std::move(rows));
  for (auto& row : *rows) step.erases.push_back(std::move(row));
  step.tokens = Step::Tokens::revoke;
  return {};
}

std::string TransferService::State::add_token(Step& step, const std::string& certificate_sha256)
    const {
  std::array<std::uint8_t, 32> secret{};
  parts.random.fill(secret);
  auto token = to_base64url(secret);
  const TokenGrant grant{
      step.process.pid,
      step.process.agreement,
      step.process.asset,
      step.process.peer,
      step.process.action};
  auto row = TokenRegistry::row_of(token, grant, certificate_sha256, now());
  step.rows.push_back(row);
  step.new_token = std::move(row);
  return token;
}

Result<void> TransferService::State::close_with(Step& step, const Message& reason, bool by_peer)
    const {
  Process& process = step.process;
  process.reason = reason;
  process.ended_by_peer = by_peer;
  auto record = draft("transfer.terminated", process);
  record.set("reason", reason);
  record.set("by", by_peer ? "peer" : "self");
  step.drafts.push_back(std::move(record));
  step.priority = audit::Priority::reserved;
  process.token.clear();
  return drop_tokens(step);
}

Result<void> TransferService::State::end(Step& step, const Message& reason) const {
  auto closed = close_with(step, negotiation::bounded(reason), false);
  if (!closed) return closed;
  Process& process = step.process;
  if (process.peer_pid.empty()) {
    if (process.pending) step.dropped.push_back(process.pending->message);
    process.pending.reset();
    process.state = TransferState::terminated;
    return {};
  }
  const auto pids = process.pids();
  dsp::TransferTerminationMessage message;
  message.id = new_pid(parts.random).value;
  message.provider_pid = pids.provider;
  message.consumer_pid = pids.consumer;
  message.code = reason.code;
  message.reason = reason_list(negotiation::bounded(reason));
  send(
      step,
      TransferEvent::termination,
      TransferState::terminated,
      dsp::transfer_path(process.peer_pid, "termination"),
      dsp::to_json(message),
      "TransferTerminationMessage"
  );
  return {};
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
      if (moves) process.state = target;
      if (moves && target == TransferState::suspended) step.tokens = Step::Tokens::rest;
      if (moves && event == TransferEvent::start) step.tokens = Step::Tokens::wake;
      state_->note(process, "out", "", message.id, "delivered");
      advances = moves && !dsp::is_final(process.state);
    }
    auto done = co_await state_->commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    if (advances) state_->advance_soon(pid);
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
      process.state = TransferState::terminated;
      state_->note(process, "out", "", message.id, std::to_string(refused.status));
    } else {
      Message reason{"transfer.not-delivered", {{"message", message.last_answer}}};
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
        process.state = TransferState::terminated;
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
