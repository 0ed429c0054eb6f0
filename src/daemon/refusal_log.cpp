#include "refusal_log.hpp"

namespace tally::daemon {

RefusalLog::RefusalLog(audit::LogAppender& log, Clock& clock, Random& random)
    : log_(log), clock_(clock), random_(random) {}

void RefusalLog::refused(const Message& reason, const std::string& source) {
  bool one_by_one = false;
  {
    const std::lock_guard lock(mutex_);
    ++totals_[reason.code];
    // Beyond the bound all sources of a reason share one entry.
    const bool full = counted_.size() >= most_sources;
    auto& counted = counted_[reason.code + "|" + (full ? std::string("*") : source)];
    if (counted.seen == 0) counted.reason = reason;
    one_by_one = ++counted.seen <= recorded_each;
  }
  if (one_by_one) record(reason, 1);
}

void RefusalLog::flush() {
  std::map<std::string, Counted> counted;
  {
    const std::lock_guard lock(mutex_);
    counted.swap(counted_);
  }
  std::map<std::string, Counted> by_reason;
  for (auto& [key, entry] : counted) {
    if (entry.seen <= recorded_each) continue;
    auto& sum = by_reason[entry.reason.code];
    sum.reason = entry.reason;
    sum.seen += entry.seen - recorded_each;
  }
  for (const auto& [code, entry] : by_reason) record(entry.reason, entry.seen);
}

std::map<std::string, std::uint64_t> RefusalLog::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

void RefusalLog::record(const Message& reason, std::uint64_t count) {
  audit::RecordDraft draft("peer.refused", new_event(random_, clock_.read().at));
  // The code alone: parameters may hold what an unauthenticated stranger wrote.
  draft.set("reason", Message{reason.code, {}}).set("count", count);
  log_.enqueue(std::move(draft));
}

}  // namespace tally::daemon
