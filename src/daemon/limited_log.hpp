// Calls that were refused since they came too often, as one record and one line for operators in a
// minute and listener, however many they are. The record names nobody: who it was first stands in
// the operational log.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "tally/api/call_limits.hpp"
#include "tally/audit/appender.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/notices.hpp"

namespace tally::daemon {

class LimitedLog final : public api::LimitedCalls {
 public:
  LimitedLog(audit::LogAppender& log, Notices& notices, Clock& clock, Random& random);

  void limited(std::string_view listener, std::string_view code, const std::string& who) override;
  // Records what was counted since; once a minute and before a stop. Any thread.
  void flush();
  // Since the start, by listener and code. Any thread.
  using Totals = std::map<std::pair<std::string, std::string>, std::uint64_t>;
  [[nodiscard]] Totals totals() const;
  [[nodiscard]] std::uint64_t total() const;

 private:
  struct Counted {
    std::string first;  // who
    std::uint64_t calls = 0;
  };
  using ByListenerAndCode = std::map<std::pair<std::string, std::string>, Counted, std::less<>>;

  audit::LogAppender& log_;
  Notices& notices_;
  Clock& clock_;
  Random& random_;
  mutable std::mutex mutex_;
  ByListenerAndCode counted_;
  Totals totals_;
};

}  // namespace tally::daemon
