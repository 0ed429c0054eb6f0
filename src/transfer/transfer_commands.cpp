// What the operator of this connector asks for.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/dsp/binding.hpp"

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Role;
using dsp::TransferEvent;
using dsp::TransferState;

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
  if (const auto hold = state.parts.enforcer.held(order.agreement)) {
    co_return fail(ErrorKind::conflict, usage::explain(*hold, order.agreement));
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
  State::Change change = [this, reason = std::move(reason)](Step& step) {
    return state_->suspend(step, reason);
  };
  co_return co_await state_->command(pid, std::move(change));
}

awaitable<Result<void>> TransferService::restart(Pid pid) {
  State::Change change = [this](Step& step) { return state_->resume(step); };
  co_return co_await state_->command(pid, std::move(change));
}

awaitable<Result<void>> TransferService::complete(Pid pid) {
  State::Change change = [this](Step& step) { return state_->complete(step); };
  co_return co_await state_->command(pid, std::move(change));
}

awaitable<Result<void>> TransferService::terminate(Pid pid, Message reason) {
  State::Change change = [this, reason = std::move(reason)](Step& step) {
    return state_->terminate(step, reason);
  };
  co_return co_await state_->command(pid, std::move(change));
}

}  // namespace tally::transfer
