// What a rule says comes next (docs/reactions.md): asked in each state before anything happens by
// itself, and carried out after its delay if the transfer still stands where it stood.
#include <algorithm>
#include <utility>

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Role;
using dsp::TransferState;
using negotiation::Act;
using negotiation::Reaction;

namespace {

// Rules may change while a delay runs: it is asked again from time to time.
constexpr Nanos longest_sleep = seconds(10);

}  // namespace

std::optional<Reaction> TransferService::State::reaction_to(const Process& process) const {
  if (parts.reactions == nullptr || parts.reactions->empty()) return std::nullopt;
  negotiation::Situation situation;
  situation.kind = negotiation::ProcessKind::transfer;
  situation.role = process.role;
  situation.peer = process.peer;
  situation.asset = process.asset;
  situation.agreement = process.agreement;
  const auto agreement = agreement_of(process);
  if (agreement) situation.offer = agreement->offer;
  situation.state = dsp::to_string(process.state);
  situation.occurrence = process.times_entered();
  return parts.reactions->find(situation);
}

void TransferService::State::react_soon(const Process& process) {
  auto run = reactions.begin(
      process.pid.value + " " + std::string(dsp::to_string(process.state)) + " " +
      std::to_string(process.times_entered())
  );
  if (!run) return;
  parts.tasks.spawn(
      "reaction", react(process.pid, process.state, process.times_entered(), *std::move(run))
  );
}

awaitable<void> TransferService::State::react(
    Pid pid, TransferState state, int occurrence, [[maybe_unused]] Runs::Run run
) {
  for (;;) {
    auto found = find(pid);
    if (!found || !*found) co_return;
    auto process = std::move(**found);
    // It has moved on, or a message is under way: what comes after that is asked for anew.
    const bool stands = process.state == state && process.times_entered() == occurrence;
    if (!stands || process.pending) co_return;
    const auto rule = reaction_to(process);
    if (!rule) {
      advance_soon(pid);  // it was taken away meanwhile
      watch_soon(pid);
      co_return;
    }
    const Reaction reaction = *rule;
    if (reaction.act == Act::wait) co_return;
    const auto entered = parse_date_time(process.entered_at);
    const Instant due = (entered ? entered->instant : now()) + reaction.after;
    if (now() < due) {
      co_await parts.timers.sleep_until(std::min(due, now() + longest_sleep));
      continue;
    }
    if (reaction.act == Act::start && parts.enforcer.unwitnessed(process.agreement)) {
      if (auto missing = co_await wait_for_witnesses(process.agreement)) {
        parts.notices.note(Severity::info, *missing);  // `begin` ends it with this reason
      }
      found = find(pid);
      if (!found || !*found) co_return;
      process = std::move(**found);
      if (process.state != state || process.pending) co_return;
    }
    auto step = act(std::move(process), reaction);
    if (!step) {
      parts.notices.note(Severity::warning, step.error().message);
      co_return;
    }
    const auto done = co_await commit(std::move(*step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    co_return;  // done, or until a restart
  }
}

Result<Step> TransferService::State::act(Process process, const Reaction& reaction) const {
  if (reaction.act == Act::start && process.role == Role::provider &&
      process.state == TransferState::requested) {
    return begin(std::move(process));
  }
  const auto reason = [&](std::string_view saying, std::string_view none) {
    if (reaction.reason.empty()) return Message{std::string(none), {}};
    return Message{std::string(saying), {{"reason", reaction.reason}}};
  };
  Step step;
  step.process = std::move(process);
  note(step.process, "local", "rule", "", reaction.rule);
  Result<void> moved;
  switch (reaction.act) {
    case Act::resume:
    case Act::start:
      moved = resume(step);
      break;
    case Act::suspend:
      moved =
          suspend(step, reason("transfer.suspended-by-rule-saying", "transfer.suspended-by-rule"));
      break;
    case Act::complete:
      moved = complete(step);
      break;
    case Act::terminate:
      moved = terminate(step, reason("transfer.ended-by-rule-saying", "transfer.ended-by-rule"));
      break;
    default:  // of negotiations; rules that name one of them here are refused when they are read
      moved = fail(
          ErrorKind::conflict,
          {"transfer.cannot",
           {{"command", reaction.rule}, {"state", std::string(dsp::to_string(step.process.state))}}}
      );
  }
  if (!moved) return fail(std::move(moved));
  return step;
}

}  // namespace tally::transfer
