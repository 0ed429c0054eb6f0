#include "sim/memory_store.hpp"

#include <algorithm>

namespace tally::sim {

struct MemoryStore::Unit {
  Transaction transaction;
  Result<void> outcome;
  Waiting waiting;
};

namespace {

tl::unexpected<Error> out_of_service() {
  return fail(ErrorKind::unavailable, {"store.failed", {{"reason", "simulated"}}});
}

tl::unexpected<Error> moved_on(const Row& row) {
  return fail(
      ErrorKind::conflict,
      {"store.version-mismatch",
       {{"kind", row.kind}, {"id", row.id}, {"version", std::to_string(row.version)}}}
  );
}

using Rows = std::map<std::pair<std::string, std::string>, Row>;

// The rows first, since only they can be refused; what was changed before a refusal is put back.
Result<void> apply_rows(Rows& rows, const Transaction& transaction) {
  std::vector<std::pair<Rows::key_type, std::optional<Row>>> before;
  std::optional<Row> refused;
  const auto visit = [&](const Row& row, bool erase) {
    const auto key = std::make_pair(row.kind, row.id);
    const auto found = rows.find(key);
    const bool stored = found != rows.end();
    if (refused || (stored ? found->second.version : 0) != row.version || (erase && !stored)) {
      if (!refused) refused = row;
      return;
    }
    before.emplace_back(key, stored ? std::optional(found->second) : std::nullopt);
    if (erase) {
      rows.erase(found);
      return;
    }
    Row next = row;
    ++next.version;
    rows[key] = std::move(next);
  };
  for (const Row& row : transaction.puts) visit(row, false);
  for (const Row& row : transaction.erases) visit(row, true);
  if (!refused) return {};
  for (auto it = before.rbegin(); it != before.rend(); ++it) {
    if (it->second) {
      rows[it->first] = *it->second;
    } else {
      rows.erase(it->first);
    }
  }
  return moved_on(*refused);
}

// All of it, or nothing and the error.
Result<void> apply(StoreImage& image, const Transaction& transaction) {
  if (auto done = apply_rows(image.rows, transaction); !done) return done;
  for (const OutgoingMessage& message : transaction.messages) {
    const auto found =
        std::find_if(image.messages.begin(), image.messages.end(), [&](const OutgoingMessage& old) {
          return old.id == message.id;
        });
    if (found == image.messages.end()) {
      image.messages.push_back(message);
    } else {
      *found = message;
    }
  }
  for (const std::string& id : transaction.delivered_messages) {
    std::erase_if(image.messages, [&](const OutgoingMessage& message) { return message.id == id; });
  }
  if (transaction.answer) {
    image.answers[{transaction.answer->process, transaction.answer->message_id}] =
        *transaction.answer;
  }
  for (const DraftRow& draft : transaction.drafts) {
    const auto found =
        std::find_if(image.drafts.begin(), image.drafts.end(), [&](const DraftRow& old) {
          return old.event == draft.event;
        });
    if (found == image.drafts.end()) {
      image.drafts.push_back(draft);
    } else {
      *found = draft;
    }
  }
  for (const std::string& event : transaction.logged_events) {
    std::erase_if(image.drafts, [&](const DraftRow& draft) { return draft.event == event; });
  }
  if (transaction.mark.size > image.mark.size) image.mark = transaction.mark;
  return {};
}

}  // namespace

MemoryStore::MemoryStore(Node& node, StoreImage& durable)
    : node_(node), durable_(durable), shown_(durable) {
  node.on_power_off([weak = std::weak_ptr(self_)] {
    if (const auto self = weak.lock()) (*self)->cut_power();
  });
}

MemoryStore::~MemoryStore() {
  node_.world().forget(this);
}

awaitable<Result<void>> MemoryStore::commit(Transaction transaction) {
  if (failed_ || dead_) co_return out_of_service();
  const auto unit = std::make_shared<Unit>();
  unit->transaction = std::move(transaction);
  auto started = [this, unit](Waiting waiting) {
    unit->waiting = waiting;
    pending_.push_back(unit);
    schedule();
  };
  co_await node_.wait_to_the_end(std::move(started));
  co_return unit->outcome;
}

void MemoryStore::schedule() {
  if (scheduled_ || dead_) return;
  scheduled_ = true;
  const Nanos delay = node_.world().chance().span(least_delay, most_delay);
  node_.world().after(delay, this, [this] { commit_pending(); });
}

void MemoryStore::commit_pending() {
  scheduled_ = false;
  if (dead_) return;
  ++batches_;
  const auto batch = std::exchange(pending_, {});
  const bool fails = failed_ || (fail_at_ > 0 && --fail_at_ == 0);
  if (fails) {
    // After a failed sync nobody knows: the next start will see.
    const bool reached = !failed_ && node_.world().chance().happens(0.5);
    failed_ = true;
    for (const auto& unit : batch) {
      if (reached) (void)apply(durable_, unit->transaction);
      unit->outcome = out_of_service();
      unit->waiting.wake();
    }
    return;
  }
  for (const auto& unit : batch) {
    unit->outcome = apply(shown_, unit->transaction);
    if (unit->outcome) (void)apply(durable_, unit->transaction);  // the two are equal before it
  }
  for (const auto& unit : batch) unit->waiting.wake();
}

void MemoryStore::cut_power() {
  if (dead_) return;
  dead_ = true;
  node_.world().forget(this);
  if (failed_) return;
  const std::uint64_t kept = node_.world().chance().below(pending_.size() + 1);
  for (std::uint64_t i = 0; i < kept; ++i) (void)apply(durable_, pending_[i]->transaction);
}

Result<std::optional<Row>> MemoryStore::row(std::string_view kind, std::string_view id) {
  const auto found = shown_.rows.find(std::make_pair(std::string(kind), std::string(id)));
  if (found == shown_.rows.end()) return std::nullopt;
  return found->second;
}

Result<std::vector<Row>> MemoryStore::rows(const Query& query) {
  std::vector<Row> found;
  for (auto it = shown_.rows.lower_bound(std::make_pair(query.kind, query.after));
       it != shown_.rows.end() && it->first.first == query.kind && found.size() < query.most;
       ++it) {
    const Row& row = it->second;
    if (!query.after.empty() && row.id == query.after) continue;
    if (!query.state.empty() && row.state != query.state) continue;
    if (!query.owner.empty() && row.owner != query.owner) continue;
    found.push_back(row);
  }
  return found;
}

Result<std::vector<OutgoingMessage>> MemoryStore::messages() {
  return shown_.messages;
}

Result<std::optional<StoredAnswer>> MemoryStore::answer(
    std::string_view process, std::string_view message_id
) {
  const auto found =
      shown_.answers.find(std::make_pair(std::string(process), std::string(message_id)));
  if (found == shown_.answers.end()) return std::nullopt;
  return found->second;
}

Result<std::vector<DraftRow>> MemoryStore::drafts() {
  return shown_.drafts;
}

Result<LogMark> MemoryStore::mark() {
  return shown_.mark;
}

}  // namespace tally::sim
