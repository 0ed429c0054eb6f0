// Duties that are confirmed, as the ledger knows them.
#include <algorithm>
#include <utility>

#include "enforcer_state.hpp"

namespace tally::usage {

void Enforcer::change(const AgreementId& agreement, const DutyEvent& change) {
  auto& shard = state_->shard_of(agreement.value);
  const std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[agreement.value];
  entry.duties.apply(change, entry);
}

std::vector<DutyState> Enforcer::duties(const AgreementId& agreement) const {
  auto& shard = state_->shard_of(agreement.value);
  const ClockReading now = state_->read_clock();
  const std::lock_guard lock(shard.mutex);
  const Entry* entry = State::find(shard, agreement.value);
  if (entry == nullptr) return {};
  return entry->duties.states(now, *entry);
}

std::vector<Enforcer::Overdue> Enforcer::newly_overdue() const {
  std::vector<Overdue> out;
  const ClockReading now = state_->read_clock();
  for (const auto& shard : state_->shards) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [id, entry] : shard.entries) {
      const bool over = entry.closed == Closed::expired || entry.closed == Closed::terminated;
      if (over || !entry.duties.owes_after()) continue;
      for (auto& duty : entry.duties.states(now, entry)) {
        if (duty.standing != DutyStanding::overdue || duty.recorded) continue;
        out.push_back({AgreementId(id), std::move(duty)});
      }
    }
  }
  std::sort(out.begin(), out.end(), [](const Overdue& a, const Overdue& b) {
    return std::tie(a.agreement, a.duty.duty.duty) < std::tie(b.agreement, b.duty.duty.duty);
  });
  return out;
}

}  // namespace tally::usage
