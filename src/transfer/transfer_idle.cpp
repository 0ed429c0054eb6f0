// Nothing stays open: what the provider ends by itself when nothing moves any more. A pull that the
// consumer has acknowledged needs no further word; one by a peer that gives no receipts rests for a
// while first. Where somebody wrote a rule for the state, the rule stands instead.
#include <algorithm>
#include <utility>

#include "transfer_state.hpp"

namespace tally::transfer {

using dsp::Role;
using dsp::TransferState;

namespace {

// The consumer completes a pull itself with the message after its receipt, if it is going to.
constexpr Nanos after_receipt = seconds(2);

}  // namespace

void TransferService::State::watch_soon(const Pid& pid) {
  parts.tasks.spawn("idle", watch(pid, watches.replace(pid.value)));
}

std::optional<Nanos> TransferService::State::quiet_until_end(const Process& process) const {
  std::optional<Nanos> quiet;
  if (settings.longest_idle > 0) quiet = settings.longest_idle;
  const auto within = [&](Nanos span) { return quiet ? std::min(*quiet, span) : span; };
  // What was sent encrypted is open until its consumer, a Tally, has completed it: the key ends
  // with the transfer.
  if (process.format == call_format || !process.sent || process.sealed) return quiet;
  if (!process.received_receipt.empty()) return within(after_receipt);
  // A Tally owes its receipt, and is waited for until that is missing.
  if (parts.peers.tally_url(process.peer) && !process.receipt_missing) return quiet;
  return within(settings.idle);
}

awaitable<void> TransferService::State::watch(Pid pid, Runs::Run run) {
  const auto may_end = [this](const Process& process) {
    return process.role == Role::provider && process.state == TransferState::started &&
           !process.pending && !reaction_to(process);
  };
  for (;;) {
    auto found = find(pid);
    if (!found || !*found || !run.wanted()) co_return;
    if (!may_end(**found)) co_return;
    const auto quiet = quiet_until_end(**found);
    if (!quiet) co_return;
    const auto moves = parts.tokens.moves(pid);
    co_await parts.timers.sleep_for(*quiet);
    if (!run.wanted()) co_return;
    if (parts.tokens.moves(pid) != moves) continue;

    found = find(pid);
    if (!found || !*found || !may_end(**found)) co_return;
    Step step;
    step.process = std::move(**found);
    Process& process = step.process;
    // What came of it is there, or nobody asked: then there is nothing to call complete.
    const bool whole = process.format == call_format || (process.sent && !process.sealed);
    note(process, "local", whole ? "complete" : "terminate", "", "transfer.idle");
    const Message idle{"transfer.idle", {{"seconds", std::to_string(*quiet / nanos_per_second)}}};
    const auto ended = whole ? complete(step) : end(step, idle);
    if (!ended) co_return;
    const auto done = co_await commit(std::move(step));
    if (!done && done.error().kind == ErrorKind::conflict) continue;
    if (!done) parts.notices.note(Severity::error, done.error().message);
    co_return;
  }
}

}  // namespace tally::transfer
