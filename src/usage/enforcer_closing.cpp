// An agreement's end, suspension and reopening: under the lock of its shard, as uses are, so that
// none stands behind the record of the end.
#include <utility>

#include "enforcer_state.hpp"
#include "use_records.hpp"

namespace tally::usage {
namespace {

tl::unexpected<Error> state_conflict(const char* code, const AgreementId& agreement, Closed state) {
  return fail(
      ErrorKind::conflict,
      {code, {{"agreement", agreement.value}, {"state", std::string(to_string(state))}}}
  );
}

}  // namespace

awaitable<Result<void>> Enforcer::close(
    AgreementId agreement, Closed state, audit::RecordDraft record
) {
  auto& shard = state_->shard_of(agreement.value);
  audit::Ticket ticket;
  {
    const std::lock_guard lock(shard.mutex);
    Entry& entry = shard.entries[agreement.value];
    if (entry.closed > state) {
      co_return state_conflict("usage.already-closed", agreement, entry.closed);
    }
    if (entry.closed == state && entry.closing_durable) co_return Result<void>();
    if (entry.closed != state || !entry.closing) {
      mark_ledger(record, state);
      record.about(agreement);
      entry.closed = state;
      ++entry.closings;
      entry.closing = state_->log->enqueue(std::move(record), audit::Priority::reserved);
      entry.closing_durable = false;
    }
    ticket = entry.closing;
  }
  auto durable = co_await state_->log->wait(ticket);
  const std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[agreement.value];
  if (entry.closing == ticket) {
    if (durable) entry.closing_durable = true;
    // Another attempt writes its own record.
    if (!durable && not_written(durable.error())) entry.closing = nullptr;
  }
  if (!durable) co_return fail(std::move(durable));
  co_return Result<void>();
}

awaitable<Result<void>> Enforcer::reopen(AgreementId agreement, audit::RecordDraft record) {
  auto& shard = state_->shard_of(agreement.value);
  audit::Ticket ticket;
  std::uint64_t closing = 0;
  {
    const std::lock_guard lock(shard.mutex);
    Entry& entry = shard.entries[agreement.value];
    if (entry.closed != Closed::suspended) {
      co_return state_conflict("usage.not-suspended", agreement, entry.closed);
    }
    mark_ledger(record, Closed::open);
    record.about(agreement);
    ticket = state_->log->enqueue(std::move(record));
    // A suspension that comes from here on is another one, with a record behind this one.
    entry.closing = nullptr;
    entry.closing_durable = false;
    closing = entry.closings;
  }
  auto durable = co_await state_->log->wait(ticket);
  if (!durable) co_return fail(std::move(durable));
  const std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[agreement.value];
  if (entry.closed != Closed::suspended || entry.closings != closing) {
    co_return state_conflict("usage.not-suspended", agreement, entry.closed);
  }
  entry.closed = Closed::open;
  co_return Result<void>();
}

bool Enforcer::shut(const AgreementId& agreement, Closed state) {
  auto& shard = state_->shard_of(agreement.value);
  const std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[agreement.value];
  if (entry.closed > state) return false;
  if (entry.closed != state) {
    entry.closed = state;
    entry.closing = nullptr;
    entry.closing_durable = false;
  }
  ++entry.closings;
  return true;
}

bool Enforcer::open_again(const AgreementId& agreement) {
  auto& shard = state_->shard_of(agreement.value);
  const std::lock_guard lock(shard.mutex);
  Entry* entry = State::find(shard, agreement.value);
  if (entry == nullptr || entry->closed != Closed::suspended) return false;
  entry->closed = Closed::open;
  entry->closing = nullptr;
  entry->closing_durable = false;
  return true;
}

// --- holds, which end nothing ---

void Enforcer::hold(HoldSetPtr holds) {
  // Whoever was given a permit before had this lock, and has queued the record under it.
  for (auto& shard : state_->shards) {
    const std::lock_guard lock(shard.mutex);
    shard.holds = holds;
  }
}

std::optional<Hold> Enforcer::held(const AgreementId& agreement, const AppId& app) const {
  auto& shard = state_->shard_of(agreement.value);
  const std::lock_guard lock(shard.mutex);
  if (!shard.holds) return std::nullopt;
  const Entry* entry = State::find(shard, agreement.value);
  if (entry == nullptr || !entry->terms) return std::nullopt;
  const Hold* hold = State::stopping(shard, *entry->terms, app, state_->clock.read());
  return hold == nullptr ? std::nullopt : std::optional(*hold);
}

void Enforcer::set_overdue(const AgreementId& agreement, std::vector<RuleId> duties, OverdueBy by) {
  auto& shard = state_->shard_of(agreement.value);
  const std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[agreement.value];
  entry.overdue_by[static_cast<std::size_t>(by)] = std::move(duties);
  entry.overdue.clear();
  for (const auto& of_one : entry.overdue_by) {
    entry.overdue.insert(entry.overdue.end(), of_one.begin(), of_one.end());
  }
}

}  // namespace tally::usage
