// Which certificates of which parties this connector has met: `peer.enrolled`, for the first and
// for each renewed one, durable before anything is done for who shows it. What was met is read from
// the log at start. Any thread.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "tally/audit/appender.hpp"
#include "tally/audit/record.hpp"
#include "tally/core/clock.hpp"
#include "tally/identity/peer_identity.hpp"

namespace tally::daemon {

class Enrolments {
 public:
  Enrolments(audit::LogAppender& log, Clock& clock, Random& random);

  void see(const audit::RecordView& record);  // at start, of every record
  // Two that come first at the same moment may both be recorded. Errors: those of LogAppender.
  awaitable<Result<void>> met(const identity::PeerIdentity& peer);

 private:
  audit::LogAppender& log_;
  Clock& clock_;
  Random& random_;
  std::mutex mutex_;
  std::set<std::string> known_;  // mutex; certificates as "sha256:…" with their party
};

}  // namespace tally::daemon
