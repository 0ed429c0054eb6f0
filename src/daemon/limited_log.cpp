#include "limited_log.hpp"

namespace tally::daemon {

LimitedLog::LimitedLog(audit::LogAppender& log, Notices& notices, Clock& clock, Random& random)
    : log_(log), notices_(notices), clock_(clock), random_(random) {}

void LimitedLog::limited(std::string_view listener, std::string_view code, const std::string& who) {
  const std::lock_guard lock(mutex_);
  const std::pair what{std::string(listener), std::string(code)};
  ++totals_[what];
  Counted& counted = counted_[what];
  if (counted.calls++ == 0) counted.first = who;
}

void LimitedLog::flush() {
  ByListenerAndCode counted;
  {
    const std::lock_guard lock(mutex_);
    counted.swap(counted_);
  }
  for (const auto& [what, refused] : counted) {
    const auto& [listener, code] = what;
    audit::RecordDraft draft("calls.limited", new_event(random_, clock_.read().at));
    draft.set("listener", listener).set("reason", Message{code, {}}).set("count", refused.calls);
    log_.enqueue(std::move(draft));
    notices_.note(
        Severity::warning,
        {"daemon.calls-limited",
         {{"listener", listener},
          {"count", std::to_string(refused.calls)},
          {"reason", code},
          {"first", refused.first}}}
    );
  }
}

LimitedLog::Totals LimitedLog::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

std::uint64_t LimitedLog::total() const {
  std::uint64_t sum = 0;
  for (const auto& [what, calls] : totals()) sum += calls;
  return sum;
}

}  // namespace tally::daemon
