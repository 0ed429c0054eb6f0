// What the operator of this connector asks for, and what it shows them.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Role;
using dsp::TransferEvent;
using dsp::TransferState;

namespace {

tl::unexpected<Error> cannot(const Process& process, std::string_view command) {
  return fail(
      ErrorKind::conflict,
      {"transfer.cannot",
       {{"command", std::string(command)}, {"state", std::string(dsp::to_string(process.shown()))}}}
  );
}

}  // namespace

awaitable<Result<Pid>> TransferService::request(TransferOrder order) {
  State& state = *state_;
  auto agreement = negotiation::find_agreement(state.parts.store, order.agreement);
  if (!agreement) co_return fail(std::move(agreement));
  if (!*agreement || (*agreement)->our_side != odrl::Side::consumer) {
    const Message unknown{"transfer.unknown-agreement", {}};
    co_return fail(ErrorKind::not_found, unknown);
  }
  if ((*agreement)->status != negotiation::AgreementStatus::active) {
    co_return fail(ErrorKind::conflict, not_active(**agreement));
  }
  if (auto missing = co_await state.wait_for_witnesses(order.agreement)) {
    co_return fail(ErrorKind::conflict, *std::move(missing));
  }
  Step step;
  Process& process = step.process;
  process.pid = new_pid(state.parts.random);
  process.role = Role::consumer;
  process.peer = (*agreement)->provider;
  process.peer_base = (*agreement)->peer_base;
  process.agreement = order.agreement;
  process.asset = (*agreement)->asset;
  process.format = order.format;
  process.began_at = format_micros(state.now());
  dsp::TransferRequestMessage message;
  message.id = new_pid(state.parts.random).value;
  message.consumer_pid = process.pid;
  message.agreement_id = order.agreement;
  message.format = order.format;
  message.callback_address = state.settings.base_url(process.peer);
  auto record = state.draft("transfer.requested", process);
  record.set("format", process.format);
  step.drafts.push_back(std::move(record));
  state.send(
      step,
      TransferEvent::request,
      TransferState::requested,
      dsp::transfer_request_path,
      dsp::to_json(message),
      "TransferRequestMessage"
  );
  const Pid pid = process.pid;
  auto done = co_await state.commit(std::move(step));
  if (!done) co_return fail(std::move(done));
  co_return pid;
}

// One command of the operator: `change` makes the step, or says why not.
awaitable<Result<void>> TransferService::State::command(Pid pid, Change change) {
  for (;;) {
    auto found = find(pid);
    if (!found) co_return fail(std::move(found));
    if (!*found) {
      const Message unknown{"transfer.unknown-process", {}};
      co_return fail(ErrorKind::not_found, unknown);
    }
    Step step;
    step.process = std::move(**found);
    auto changed = change(step);
    if (!changed) co_return changed;
    auto done = co_await commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) co_return fail(std::move(done));
    co_return Result<void>{};
  }
}

awaitable<Result<void>> TransferService::suspend(Pid pid, Message reason) {
  State::Change change = [this, reason = negotiation::bounded(std::move(reason))](Step& step
                         ) -> Result<void> {
    Process& process = step.process;
    if (process.pending || !dsp::may_send(process.state, TransferEvent::suspension, process.role)) {
      return cannot(process, "suspend");
    }
    const auto pids = process.pids();
    dsp::TransferSuspensionMessage message;
    message.id = new_pid(state_->parts.random).value;
    message.provider_pid = pids.provider;
    message.consumer_pid = pids.consumer;
    message.code = reason.code;
    message.reason = negotiation::reason_list(reason);
    auto record = state_->draft("transfer.suspended", process);
    record.set("reason", reason).set("by", "self");
    step.drafts.push_back(std::move(record));
    // Our own side closes before the peer knows.
    step.tokens = Step::Tokens::rest;
    state_->send(
        step,
        TransferEvent::suspension,
        TransferState::suspended,
        dsp::transfer_path(process.peer_pid, "suspension"),
        dsp::to_json(message),
        "TransferSuspensionMessage"
    );
    return {};
  };
  co_return co_await state_->command(pid, std::move(change));
}

awaitable<Result<void>> TransferService::restart(Pid pid) {
  State::Change change = [this](Step& step) -> Result<void> {
    Process& process = step.process;
    if (process.pending || process.state != TransferState::suspended) {
      return cannot(process, "restart");
    }
    const auto agreement = state_->agreement_of(process);
    if (!agreement) return tl::unexpected(agreement.error());
    if (agreement->status != negotiation::AgreementStatus::active) {
      return cannot(process, "restart");
    }
    const auto pids = process.pids();
    dsp::TransferStartMessage message;
    message.id = new_pid(state_->parts.random).value;
    message.provider_pid = pids.provider;
    message.consumer_pid = pids.consumer;
    if (process.role == Role::provider) {
      // A resumed transfer gets a fresh token; the old one ends when this is first used.
      dsp::DataAddress address;
      address.endpoint_type = "https://w3id.org/idsa/v4.1/HTTP";
      address.endpoint = dsp::join_url(
          state_->settings.data_url(process.peer),
          "/data/" + percent_encode_segment(process.pid.value)
      );
      const auto token = state_->add_token(step, process.certificate);
      address.endpoint_properties = {{"authorization", token}, {"authType", "bearer"}};
      message.data_address = std::move(address);
    }
    step.drafts.push_back(state_->draft("transfer.started", process));
    state_->send(
        step,
        TransferEvent::start,
        TransferState::started,
        dsp::transfer_path(process.peer_pid, "start"),
        dsp::to_json(message),
        "TransferStartMessage"
    );
    return {};
  };
  co_return co_await state_->command(pid, std::move(change));
}

awaitable<Result<void>> TransferService::complete(Pid pid) {
  State::Change change = [this](Step& step) -> Result<void> {
    Process& process = step.process;
    if (process.pending || !dsp::may_send(process.state, TransferEvent::completion, process.role)) {
      return cannot(process, "complete");
    }
    const auto pids = process.pids();
    dsp::TransferCompletionMessage message;
    message.id = new_pid(state_->parts.random).value;
    message.provider_pid = pids.provider;
    message.consumer_pid = pids.consumer;
    step.drafts.push_back(state_->draft("transfer.completed", process));
    auto dropped = state_->drop_tokens(step);
    if (!dropped) return dropped;
    state_->send(
        step,
        TransferEvent::completion,
        TransferState::completed,
        dsp::transfer_path(process.peer_pid, "completion"),
        dsp::to_json(message),
        "TransferCompletionMessage"
    );
    return {};
  };
  co_return co_await state_->command(pid, std::move(change));
}

awaitable<Result<void>> TransferService::terminate(Pid pid, Message reason) {
  State::Change change = [this, reason = std::move(reason)](Step& step) -> Result<void> {
    Process& process = step.process;
    // A completion that is under way may be the end already, on the other side.
    const bool ending = process.pending && dsp::is_final(process.pending->target);
    if (ending || dsp::is_final(process.state)) return cannot(process, "terminate");
    state_->note(process, "local", "terminate", "", reason.code);
    return state_->end(step, reason);
  };
  co_return co_await state_->command(pid, std::move(change));
}

namespace {

Json describe_process(const Process& process) {
  Json json = {
      {"id", process.pid.value},
      {"peerPid", process.peer_pid.value},
      {"role", dsp::to_string(process.role)},
      {"peer", negotiation::to_json(process.peer)},
      {"state", dsp::to_string(process.shown())},
      {"agreement", process.agreement.value},
      {"asset", process.asset.value},
      {"format", process.format},
      {"began", process.began_at},
  };
  if (process.pending) json["sending"] = dsp::to_string(process.pending->event);
  const auto& measured = process.role == Role::provider ? process.sent : process.pulled;
  if (measured) {
    json["content"] = measured->content;
    json["bytes"] = measured->bytes;
  }
  if (process.sealed) json["sealed"] = true;
  if (process.opens) json["opens"] = plain_of(*process.opens);
  if (process.role == Role::consumer) json["received"] = process.received;
  if (process.published) json["published"] = true;
  json["receipts"] = {
      {"sent", !process.sent_receipt.empty()},
      {"received", !process.received_receipt.empty()},
      {"missing", process.receipt_missing},
  };
  if (process.reason) {
    json["reason"] = negotiation::to_json(*process.reason);
    json["endedBy"] = process.ended_by_peer ? "peer" : "self";
  }
  return json;
}

}  // namespace

Result<Json> TransferService::describe(const Pid& pid) const {
  auto found = state_->find(pid);
  if (!found) return fail(std::move(found));
  if (!*found) return fail(ErrorKind::not_found, {"transfer.unknown-process", {}});
  const Process& process = **found;
  Json json = describe_process(process);
  json["history"] = negotiation::to_json(process.history);
  if (!process.sent_receipt.empty()) json["sentReceipt"] = process.sent_receipt;
  if (!process.received_receipt.empty()) json["receivedReceipt"] = process.received_receipt;
  Json waiting = Json::array();
  for (const auto& message : state_->parts.delivery.waiting(process.key())) {
    waiting.push_back(
        {{"id", message.id},
         {"url", message.url},
         {"attempts", message.attempts},
         {"lastAnswer", message.last_answer},
         {"nextAttempt", format_micros(message.next_attempt)}}
    );
  }
  json["waiting"] = std::move(waiting);
  return json;
}

Result<std::vector<Json>> TransferService::list() const {
  std::vector<Json> all;
  Store::Query query;
  query.kind = process_kind;
  query.most = 500;
  for (;;) {
    auto page = state_->parts.store.rows(query);
    if (!page) return fail(std::move(page));
    if (page->empty()) return all;
    query.after = page->back().id;
    for (const auto& row : *page) {
      auto process = parse_process(row);
      if (!process) return fail(std::move(process));
      all.push_back(describe_process(*process));
    }
  }
}

}  // namespace tally::transfer
