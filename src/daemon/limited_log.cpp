#include "limited_log.hpp"

namespace tally::daemon {

LimitedLog::LimitedLog(audit::LogAppender& log, Notices& notices, Clock& clock, Random& random)
    : log_(log), notices_(notices), clock_(clock), random_(random) {}

void LimitedLog::limited(std::string_view listener, std::string_view code, const std::string& who) {
  const std::lock_guard lock(mutex_);
  ++total_;
  Counted& counted = counted_[{std::string(listener), std::string(code)}];
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

std::uint64_t LimitedLog::total() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

}  // namespace tally::daemon
