// Connections that were refused before they said anything, as records: the first few of each source
// and reason in a minute one by one, the rest as a number. So a flood of bad handshakes costs a few
// records and no wait. No address reaches the log.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "tally/audit/appender.hpp"
#include "tally/core/clock.hpp"
#include "tally/net/server.hpp"

namespace tally::daemon {

class RefusalLog final : public net::RefusalSink {
 public:
  RefusalLog(audit::LogAppender& log, Clock& clock, Random& random);

  void refused(const Message& reason, const std::string& source) override;
  // Records what was only counted; once a minute and before a stop.
  void flush();
  // Since the process began, by code.
  [[nodiscard]] std::map<std::string, std::uint64_t> totals() const;

 private:
  static constexpr std::uint64_t recorded_each = 3;  // per source, reason and minute
  static constexpr std::size_t most_sources = 1024;

  void record(const Message& reason, std::uint64_t count);

  audit::LogAppender& log_;
  Clock& clock_;
  Random& random_;
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> totals_;  // by code
  struct Counted {
    Message reason;
    std::uint64_t seen = 0;
  };
  std::map<std::string, Counted> counted_;  // by reason and source, in this minute
};

}  // namespace tally::daemon
