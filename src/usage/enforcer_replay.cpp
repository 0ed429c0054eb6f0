// The ledger as the sum of the log: made at a start from the snapshot and the records behind it.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "enforcer_state.hpp"
#include "use_records.hpp"

namespace tally::usage {

Result<void> Enforcer::replay(const audit::RecordView& record) {
  state_->last_time.assign(record.time);
  if (record.agreement.empty()) return {};
  auto& shard = state_->shard_of(record.agreement);
  const std::lock_guard lock(shard.mutex);
  if (record.type == "use.permitted") {
    auto use = read_permit(record);
    if (!use) return fail(std::move(use));
    Entry& entry = shard.entries[record.agreement];
    entry.permit(*use);
    if (!(*use)->key.empty()) entry.remember_key(*use, (*use)->at, state_->limits);
    return {};
  }
  if (record.type == "use.aborted" || record.type == "use.executed" ||
      record.type == "use.interrupted") {
    auto uses = read_uses(record);
    if (!uses) return fail(std::move(uses));
    Entry& entry = shard.entries[record.agreement];
    for (const auto& ended : *uses) {
      entry.add_session(ended.session);
      const UsePtr use = entry.find(ended.use);
      if (!use) continue;  // ended and forgotten before
      if (record.type == "use.aborted") {
        entry.give_back(use);
      } else if (use->ended) {
        ++use->continued;
      } else {
        entry.end(use);
      }
    }
    return {};
  }
  auto duty = read_duty_event(record);
  if (!duty) return fail(std::move(duty));
  if (*duty) {
    Entry& entry = shard.entries[record.agreement];
    entry.duties.apply(**duty, entry);
    return {};
  }
  auto ledger = read_ledger(record);
  if (!ledger) return fail(std::move(ledger));
  if (!*ledger) return {};
  Entry& entry = shard.entries[record.agreement];
  if (**ledger == Closed::open) {
    if (entry.closed == Closed::suspended) entry.closed = Closed::open;
  } else if (**ledger >= entry.closed) {
    entry.closed = **ledger;
    entry.closing_durable = true;
    ++entry.closings;
  }
  return {};
}

void Enforcer::save(const Item& item) const {
  std::vector<std::pair<std::string, const Entry*>> all;
  for (const auto& shard : state_->shards) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [agreement, entry] : shard.entries) all.emplace_back(agreement, &entry);
  }
  std::sort(all.begin(), all.end());
  for (const auto& [agreement, entry] : all) {
    Json saved = entry->save();
    saved["agreement"] = agreement;
    item(std::move(saved));
  }
}

Result<void> Enforcer::restore(const Json& item) {
  const auto agreement = string_member(item, "agreement", "");
  auto entry = agreement ? Entry::restore(item) : std::nullopt;
  if (!entry) return audit::malformed_item(part_name());
  auto& shard = state_->shard_of(*agreement);
  const std::lock_guard lock(shard.mutex);
  const bool fresh = shard.entries.emplace(*agreement, *std::move(entry)).second;
  if (!fresh) return audit::malformed_item(part_name());
  return {};
}

awaitable<Result<void>> Enforcer::finish_replay() {
  struct Open {
    std::string agreement;
    UsePtr use;
    audit::Ticket ticket;
  };
  std::vector<Open> open;
  // How long a session went on that a stop cut short is told by the last record before the stop.
  const auto last = parse_date_time(state_->last_time);
  for (auto& shard : state_->shards) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [agreement, entry] : shard.entries) {
      for (const auto& use : entry.without_end()) open.push_back({agreement, use, nullptr});
    }
  }
  std::sort(open.begin(), open.end(), [](const Open& a, const Open& b) {
    return std::tie(a.agreement, a.use->id) < std::tie(b.agreement, b.use->id);
  });
  for (auto& each : open) {
    auto& shard = state_->shard_of(each.agreement);
    const std::lock_guard lock(shard.mutex);
    Entry& entry = shard.entries[each.agreement];
    entry.open_session(each.use, each.use->at);
    const Instant until = last ? last->instant : each.use->at;
    const Session session = entry.close_session(each.use, each.use->at, until);
    entry.add_session(session);
    each.ticket = state_->log->enqueue(
        interrupted_draft(AgreementId(each.agreement), state_->event(), each.use->id, session)
    );
  }
  for (auto& each : open) {
    auto durable = co_await state_->log->wait(each.ticket);
    if (!durable) co_return fail(std::move(durable));
    auto& shard = state_->shard_of(each.agreement);
    const std::lock_guard lock(shard.mutex);
    shard.entries[each.agreement].end(each.use);
  }
  co_return Result<void>();
}

}  // namespace tally::usage
