// The moves of a transfer as steps to be committed: what the operator, a rule and the connector by
// itself send. Each checks whether it may, changes the process and adds the message.
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Role;
using dsp::TransferEvent;
using dsp::TransferState;
using negotiation::addressed;
using negotiation::reason_list;
using negotiation::text_of;

namespace {

constexpr std::string_view http_endpoint = "https://w3id.org/idsa/v4.1/HTTP";
// Connectors that read a data address as linked data find only names that are whole IRIs.
constexpr std::string_view full_names = "https://w3id.org/edc/v0.0.1/ns/";

// What a command meets that the state does not allow.
Result<void> cannot(const Process& process, std::string_view command) {
  return fail(
      ErrorKind::conflict,
      {"transfer.cannot",
       {{"command", std::string(command)}, {"state", std::string(dsp::to_string(process.shown()))}}}
  );
}

Result<void> may_move(const Process& process, TransferEvent event, std::string_view command) {
  if (!dsp::may_send(process.state, event, process.role)) return cannot(process, command);
  if (!process.pending) return {};
  return fail(
      ErrorKind::conflict,
      {"transfer.message-under-way",
       {{"command", std::string(command)},
        {"message", std::string(dsp::to_string(process.pending->event))}}}
  );
}

}  // namespace

Message recorded(Message reason) {
  constexpr std::array<std::string_view, 4> with_words{
      "daemon.agreement-ended",
      "transfer.agreement-ended-by-peer",
      "transfer.ended-because",
      "transfer.suspended-because"};
  for (const auto code : with_words) {
    if (reason.code == code) reason.params.erase("reason");
  }
  return reason;
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
  const auto url = dsp::join_url(process.peer_base, path);
  note(process, "out", std::string(type), id, "queued");
  step.messages.push_back(negotiation::outgoing(process.key(), process.peer, url, body, now()));
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
      step.process.action,
      nullptr};
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
  record.set("reason", recorded(reason));
  record.set("by", by_peer ? "peer" : "self");
  step.drafts.push_back(std::move(record));
  step.priority = audit::Priority::reserved;
  process.token.clear();
  process.asked_to_resume = false;
  process.start_may_follow = false;
  return drop_tokens(step);
}

Result<void> TransferService::State::end(Step& step, const Message& reason) const {
  auto closed = close_with(step, negotiation::bounded(reason), false);
  if (!closed) return closed;
  Process& process = step.process;
  if (process.peer_pid.empty()) {
    if (process.pending) step.dropped.push_back(process.pending->message);
    process.pending.reset();
    process.enter(TransferState::terminated, now());
    return {};
  }
  auto message = addressed<dsp::TransferTerminationMessage>(process.pids(), parts.random);
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

dsp::DataAddress TransferService::State::address_of(
    const Process& process, const std::string& token
) const {
  dsp::DataAddress address;
  address.endpoint_type = http_endpoint;
  address.endpoint = dsp::join_url(
      settings.data_url(process.peer), "/data/" + percent_encode_segment(process.pid.value)
  );
  address.endpoint_properties = {{"authorization", token}, {"authType", "bearer"}};
  if (parts.peers.data_dialect(process.peer).full_names) {
    const auto add = [&](std::string_view name, std::string value) {
      address.endpoint_properties.push_back(
          {std::string(full_names) + std::string(name), std::move(value)}
      );
    };
    add("endpoint", *address.endpoint);
    add("endpointType", address.endpoint_type);
    add("authType", "bearer");
    add("authorization", token);
  }
  return address;
}

Result<void> TransferService::State::announce(Step& step, Former former) const {
  Process& process = step.process;
  if (former == Former::ends) {
    auto dropped = drop_tokens(step);
    if (!dropped) return dropped;
  }
  const auto token = add_token(step, process.certificate);
  auto message = addressed<dsp::TransferStartMessage>(process.pids(), parts.random);
  message.data_address = address_of(process, token);
  send(
      step,
      TransferEvent::start,
      TransferState::started,
      dsp::transfer_path(process.peer_pid, "start"),
      dsp::to_json(message),
      "TransferStartMessage"
  );
  return {};
}

Result<void> TransferService::State::resume(Step& step) const {
  Process& process = step.process;
  if (process.state != TransferState::suspended) return cannot(process, "resume");
  auto allowed = may_move(process, TransferEvent::start, "resume");
  if (!allowed) return allowed;
  const auto agreement = agreement_of(process);
  if (!agreement) return tl::unexpected(agreement.error());
  if (process.role == Role::provider) {
    const auto permit = permits(process, *agreement);
    if (!permit) return tl::unexpected(permit.error());
    if (permit->refusal) return fail(ErrorKind::conflict, *permit->refusal);
    step.drafts.push_back(draft("transfer.started", process));
    return announce(step, Former::ends);
  }
  if (agreement->status != negotiation::AgreementStatus::active) {
    return fail(ErrorKind::conflict, not_active(*agreement));
  }
  process.asked_to_resume = true;
  auto message = addressed<dsp::TransferStartMessage>(process.pids(), parts.random);
  send(
      step,
      TransferEvent::start,
      TransferState::started,
      dsp::transfer_path(process.peer_pid, "start"),
      dsp::to_json(message),
      "TransferStartMessage"
  );
  return {};
}

Result<void> TransferService::State::suspend(Step& step, const Message& reason) const {
  Process& process = step.process;
  auto allowed = may_move(process, TransferEvent::suspension, "suspend");
  if (!allowed) return allowed;
  const Message told = negotiation::bounded(reason);
  auto message = addressed<dsp::TransferSuspensionMessage>(process.pids(), parts.random);
  message.code = told.code;
  message.reason = reason_list(told);
  process.reason = told;
  process.ended_by_peer = false;
  auto record = draft("transfer.suspended", process);
  record.set("reason", recorded(told)).set("by", "self");
  step.drafts.push_back(std::move(record));
  // Our own side closes before the peer knows.
  step.tokens = Step::Tokens::rest;
  send(
      step,
      TransferEvent::suspension,
      TransferState::suspended,
      dsp::transfer_path(process.peer_pid, "suspension"),
      dsp::to_json(message),
      "TransferSuspensionMessage"
  );
  return {};
}

Result<void> TransferService::State::complete(Step& step) const {
  Process& process = step.process;
  auto allowed = may_move(process, TransferEvent::completion, "complete");
  if (!allowed) return allowed;
  auto message = addressed<dsp::TransferCompletionMessage>(process.pids(), parts.random);
  step.drafts.push_back(draft("transfer.completed", process));
  process.token.clear();
  auto dropped = drop_tokens(step);
  if (!dropped) return dropped;
  send(
      step,
      TransferEvent::completion,
      TransferState::completed,
      dsp::transfer_path(process.peer_pid, "completion"),
      dsp::to_json(message),
      "TransferCompletionMessage"
  );
  return {};
}

Result<void> TransferService::State::terminate(Step& step, const Message& reason) const {
  Process& process = step.process;
  // A completion that is under way may be the end already, on the other side.
  const bool ending = process.pending && dsp::is_final(process.pending->target);
  if (ending || dsp::is_final(process.state)) return cannot(process, "terminate");
  note(process, "local", "terminate", "", reason.code);
  return end(step, reason);
}

}  // namespace tally::transfer
