#include "tally/audit/journal.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace tally::audit {

namespace {

// Of what these say, the store has more than the log: documents and signatures, what was sent and
// received, what was told of groups, whose log was seen where. Nothing else brings it back.
bool is_kept_by_store_alone(const RecordView& record) {
  constexpr std::array<std::string_view, 27> types = {
      "aggregate.answered",   "approval.approved",   "approval.rejected", "approval.requested",
      "checkpoint.witnessed", "consent.asked",       "consent.rejected",  "contract.agreed",
      "contract.finalized",   "contract.verified",   "duty.confirmed",    "duty.withdrawn",
      "equivocation.found",   "equivocation.lifted", "hold.lifted",       "hold.placed",
      "inform.held",          "inform.issued",       "key.received",      "key.released",
      "receipt.held",         "receipt.issued",      "statement.held",    "statement.issued",
      "transfer.received",    "transfer.sent",       "witness.rekeyed"};
  if (record.type == "admin.action") return !record.raw("app").empty();  // with which token
  return std::find(types.begin(), types.end(), record.type) != types.end();
}

}  // namespace

OutboxSearch::OutboxSearch(std::vector<DraftRow> drafts, const LogMark& mark)
    : drafts_(std::move(drafts)), mark_(mark.size) {
  for (const DraftRow& draft : drafts_) wanted_.insert(draft.event);
}

void OutboxSearch::see(const RecordView& record) {
  std::string event(record.event);
  if (wanted_.contains(event)) {
    found_.insert(std::move(event));
  } else if (!lost_ && record.seq >= mark_ && is_kept_by_store_alone(record)) {
    lost_ = Message{
        "audit.store-older",
        {{"seq", std::to_string(record.seq)},
         {"type", std::string(record.type)},
         {"time", std::string(record.time)},
         {"size", std::to_string(mark_)}}};
  }
}

Result<void> OutboxSearch::check_store() const {
  if (lost_) return fail(ErrorKind::conflict, *lost_);
  return {};
}

std::uint64_t OutboxSearch::from() const {
  std::uint64_t first = mark_;
  for (const DraftRow& draft : drafts_) first = std::min(first, draft.log_size);
  return first;
}

Journal::Journal(Store& store, LogAppender& log) : store_(store), log_(log) {}

class Journal::UnderWay {
 public:
  explicit UnderWay(std::shared_ptr<Progress> progress)
      : progress_(std::move(progress)), number_(++progress_->begun) {
    progress_->under_way.insert(number_);
  }
  ~UnderWay() {
    auto& under_way = progress_->under_way;
    under_way.erase(number_);
    const auto oldest = under_way.empty() ? progress_->begun + 1 : *under_way.begin();
    std::erase_if(progress_->settling, [&](const Progress::Settling& one) {
      if (one.begun >= oldest) return false;
      one.wakeup->wake();
      return true;
    });
  }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;

 private:
  std::shared_ptr<Progress> progress_;
  std::uint64_t number_;
};

awaitable<void> Journal::settled() {
  if (progress_->under_way.empty()) co_return;
  auto started = [this](std::shared_ptr<Wakeup> wakeup) {
    progress_->settling.push_back({progress_->begun, std::move(wakeup)});
  };
  co_await suspend(std::move(started));
}

awaitable<Result<std::vector<Appended>>> Journal::commit(
    Transaction transaction, std::vector<RecordDraft> drafts, Priority priority
) {
  // Once the log has failed no state may move on: it could not be recorded.
  if (log_.failed()) {
    co_return fail(ErrorKind::unavailable, {"audit.log-failed", {{"cause", "audit.log-failed"}}});
  }
  const UnderWay under_way(progress_);
  const LogMark mark = log_.mark();
  for (const RecordDraft& draft : drafts) {
    transaction.drafts.push_back({draft.event().value, mark.size, draft.to_text()});
  }
  transaction.mark = mark;
  std::vector<std::string> clearing;
  clearing.swap(logged_);
  for (const std::string& event : clearing) transaction.logged_events.push_back(event);

  auto committed = co_await store_.commit(std::move(transaction));
  if (!committed) {
    logged_.insert(logged_.end(), clearing.begin(), clearing.end());
    co_return fail(std::move(committed));
  }

  // All are queued before the first is waited for: one batch, and in this order.
  std::vector<Ticket> tickets;
  tickets.reserve(drafts.size());
  for (RecordDraft& draft : drafts) tickets.push_back(log_.enqueue(draft, priority));
  std::vector<Appended> all;
  std::optional<Error> first_error;
  for (std::size_t i = 0; i < tickets.size(); ++i) {
    auto appended = co_await log_.wait(std::move(tickets[i]));
    if (appended) {
      logged_.push_back(drafts[i].event().value);
      all.push_back(*appended);
    } else if (!first_error) {
      first_error = std::move(appended).error();
    }
  }
  if (first_error) co_return tl::unexpected(std::move(*first_error));
  co_return all;
}

awaitable<Result<void>> Journal::replay(OutboxSearch search) {
  Transaction clearing;
  for (const DraftRow& row : search.drafts()) {
    if (!search.found(row.event)) {
      auto draft = RecordDraft::parse(row.draft);
      if (!draft) co_return fail(std::move(draft));
      // What was committed is a fact already: it may use the reserve.
      auto appended = co_await append(log_, std::move(*draft), Priority::reserved);
      if (!appended) co_return fail(std::move(appended));
    }
    clearing.logged_events.push_back(row.event);
  }
  if (clearing.logged_events.empty()) co_return Result<void>();
  clearing.mark = log_.mark();
  auto committed = co_await store_.commit(std::move(clearing));
  co_return committed;
}

}  // namespace tally::audit
