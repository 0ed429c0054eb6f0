// Stands before the log writer and tells of milestones: records after which our checkpoint ought to
// be witnessed soon, and which agreements that say `strict` wait for.
#pragma once

#include <functional>
#include <utility>

#include "tally/audit/appender.hpp"
#include "tally/audit/record.hpp"
#include "tally/audit/witnessing.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/store.hpp"

namespace tally::audit {

// Whoever queues a milestone waits for its ticket. Any thread.
class MilestoneAppender final : public LogAppender {
 public:
  MilestoneAppender(
      LogAppender& log, Witnessing& witnessing, Clock& clock, std::function<void()> tell
  )
      : log_(log), witnessing_(witnessing), clock_(clock), tell_(std::move(tell)) {}
  Ticket enqueue(RecordDraft draft, Priority priority = Priority::ordinary) override;
  awaitable<Result<Appended>> wait(Ticket ticket) override;
  [[nodiscard]] bool failed() const override { return log_.failed(); }
  [[nodiscard]] LogMark mark() const override { return log_.mark(); }

 private:
  LogAppender& log_;
  Witnessing& witnessing_;
  Clock& clock_;
  std::function<void()> tell_;
};

}  // namespace tally::audit
