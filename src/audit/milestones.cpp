#include "tally/audit/milestones.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace tally::audit {

namespace {

// The ticket of a milestone: what comes of it is told.
struct MilestoneTicket final : PendingAppend {
  Ticket inner;
  std::string agreement;
};

}  // namespace

Ticket MilestoneAppender::enqueue(RecordDraft draft, Priority priority) {
  if (!is_milestone(draft.type())) return log_.enqueue(std::move(draft), priority);
  auto ticket = std::make_shared<MilestoneTicket>();
  ticket->agreement = draft.agreement();
  if (!ticket->agreement.empty()) witnessing_.queued(ticket->agreement, clock_.read().at);
  ticket->inner = log_.enqueue(std::move(draft), priority);
  tell_();
  return ticket;
}

awaitable<Result<Appended>> MilestoneAppender::wait(Ticket ticket) {
  const auto milestone = std::dynamic_pointer_cast<MilestoneTicket>(ticket);
  if (!milestone) co_return co_await log_.wait(std::move(ticket));
  auto appended = co_await log_.wait(milestone->inner);
  // Whoever gave up waiting does not know: it stays open, and `strict` stays shut.
  const bool unknown = !appended && appended.error().message.code == "audit.wait-cancelled";
  if (!milestone->agreement.empty() && !unknown) {
    witnessing_.settled(
        milestone->agreement, appended ? std::optional(appended->seq + 1) : std::nullopt
    );
  }
  co_return appended;
}

}  // namespace tally::audit
