// One record that several requests wait for: the first use with a key, and its repeats while the
// record is still on its way. The wait goes on when the request that began it is gone. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "tally/audit/appender.hpp"
#include "tally/core/wakeup.hpp"

namespace tally::usage {

class SharedWait {
 public:
  explicit SharedWait(audit::Ticket ticket) : ticket_(std::move(ticket)) {}

  // Completes on the awaiting executor, never inline; honours its cancellation. Errors: those of
  // LogAppender::wait. Any number of times.
  static awaitable<Result<audit::Appended>> wait(
      std::shared_ptr<SharedWait> shared, audit::LogAppender& log
  );

 private:
  struct Watch;

  void settle(Result<audit::Appended> result);
  void abandon();

  std::mutex mutex_;      // guards everything below
  audit::Ticket ticket_;  // until somebody watches it
  std::optional<Result<audit::Appended>> result_;
  std::vector<std::shared_ptr<Wakeup>> waiters_;
};

}  // namespace tally::usage
