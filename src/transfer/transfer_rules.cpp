// What follows by itself: the provider starts what an agreement permits, the consumer fetches.
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/odrl/terms.hpp"

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Role;
using dsp::TransferState;

void TransferService::State::advance_soon(const Pid& pid) {
  parts.tasks.spawn("transfer", advance(pid));
}

awaitable<std::optional<Message>> TransferService::State::wait_for_witnesses(AgreementId agreement
) {
  // A contract that has just come into force is cosigned a moment later.
  const Nanos step = milliseconds(100);
  auto missing = parts.enforcer.unwitnessed(agreement);
  for (Nanos waited = 0; missing && waited < settings.witness_wait; waited += step) {
    co_await parts.timers.sleep_for(step);
    missing = parts.enforcer.unwitnessed(agreement);
  }
  co_return missing;
}

awaitable<void> TransferService::State::advance(Pid pid) {
  bool waited = false;
  for (;;) {
    auto found = find(pid);
    if (!found || !*found) co_return;
    auto process = std::move(**found);
    const bool consumes = process.role == Role::consumer && parts.executor != nullptr;
    if (dsp::is_final(process.state) && consumes && process.sealed && !process.opened) {
      co_await parts.executor->discard(pid);  // what has no key any more
    }
    if (process.pending || dsp::is_final(process.state)) co_return;
    // What the consumer has received is taken to its end, whatever a rule says.
    if (!process.received && reaction_to(process)) {
      react_soon(process);
      co_return;
    }
    Step step;
    if (process.objection) {
      const Message reason = *process.objection;
      step.process = std::move(process);
      const auto ended = end(step, reason);
      if (!ended) {
        parts.notices.note(Severity::error, ended.error().message);
        co_return;
      }
    } else if (process.role == Role::provider && process.state == TransferState::requested) {
      if (!waited && parts.enforcer.unwitnessed(process.agreement)) {
        co_await wait_for_witnesses(process.agreement);
        waited = true;
        continue;
      }
      auto begun = begin(std::move(process));
      if (!begun) {
        parts.notices.note(Severity::error, begun.error().message);
        co_return;
      }
      step = std::move(*begun);
    } else if (process.role == Role::consumer && process.state == TransferState::started) {
      co_await fetch(pid);
      co_return;
    } else {
      co_return;
    }
    const auto done = co_await commit(std::move(step));
    if (!done && done.error().kind != ErrorKind::conflict) co_return;  // until a restart
  }
}

Result<TransferService::State::Permit> TransferService::State::permits(
    const Process& process, const Agreement& agreement
) const {
  Permit permit;
  const auto unwitnessed = parts.enforcer.unwitnessed(agreement.id);
  if (agreement.status != negotiation::AgreementStatus::active) {
    permit.refusal = not_active(agreement);
    return permit;
  }
  if (const auto hold = parts.enforcer.held(agreement.id)) {
    permit.refusal = usage::explain(*hold, agreement.id);
    return permit;
  }
  // A call is decided with each use; then its start rests on the agreement alone.
  if (process.action != odrl::iri::archive && !unwitnessed) {
    permit.decided = {{"at", format_micros(now())}, {"outcome", "permit"}};
    return permit;
  }
  // Asked without counting: the use is the read from custody, and where a pull does count it is
  // counted when the data goes out.
  usage::Act act;
  act.agreement = agreement.id;
  act.action = process.action;
  act.party = process.peer;
  act.purposes = agreement.purposes;
  act.process = process.pid;
  act.receipt_before_key = process.action == odrl::iri::archive && parts.keys != nullptr;
  auto rehearsed = parts.enforcer.dry_run(act);
  if (!rehearsed) return fail(std::move(rehearsed));
  const odrl::Decision* decision = &rehearsed->decision;
  permit.decided = {
      {"at", format_micros(now())},
      {"outcome", decision->permit ? "permit" : "deny"},
      {"reason", odrl::to_string(decision->reason)},
  };
  if (!decision->permit && unwitnessed) {
    permit.refusal = unwitnessed;
  } else if (!decision->permit) {
    permit.refusal = negotiation::bounded(
        {"transfer.not-permitted",
         {{"reason", std::string(odrl::to_string(decision->reason))},
          {"why", render(rehearsed->refusal->code, Lang::en)}}}
    );
  }
  return permit;
}

// The provider's rule: what the policy permits is started at once.
Result<Step> TransferService::State::begin(Process process) const {
  auto agreement = agreement_of(process);
  if (!agreement) return fail(std::move(agreement));
  auto permit = permits(process, *agreement);
  if (!permit) return fail(std::move(permit));
  Step step;
  step.process = std::move(process);
  if (permit->refusal) {
    auto ended = end(step, negotiation::bounded(*permit->refusal));
    if (!ended) return fail(std::move(ended));
    return step;
  }

  auto record = draft("transfer.started", step.process);
  record.set("action", step.process.action);
  record.set_json("decision", permit->decided);
  record.set("policy", agreement->digest());
  if (!agreement->asset_version.empty()) record.set("source", agreement->asset_version);
  step.drafts.push_back(std::move(record));
  auto announced = announce(step, Former::ends);
  if (!announced) return fail(std::move(announced));
  return step;
}

}  // namespace tally::transfer
