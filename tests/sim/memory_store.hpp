// Store in memory with a disk's manners: a commit takes time, many are synced together, and a power
// cut keeps what was acknowledged and perhaps some of what was not.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "tally/core/store.hpp"

#include "sim/node.hpp"

namespace tally::sim {

// What is on the disk of one connector; it outlives the MemoryStore over it.
struct StoreImage {
  std::map<std::pair<std::string, std::string>, Row> rows;
  std::vector<OutgoingMessage> messages;
  std::map<std::pair<std::string, std::string>, StoredAnswer> answers;
  std::vector<DraftRow> drafts;
  LogMark mark;
};

class MemoryStore final : public Store {
 public:
  MemoryStore(Node& node, StoreImage& durable);
  ~MemoryStore() override;

  awaitable<Result<void>> commit(Transaction transaction) override;
  Result<std::optional<Row>> row(std::string_view kind, std::string_view id) override;
  Result<std::vector<Row>> rows(const Query& query) override;
  Result<std::vector<OutgoingMessage>> messages() override;
  Result<std::optional<StoredAnswer>> answer(std::string_view process, std::string_view message_id)
      override;
  Result<std::vector<DraftRow>> drafts() override;
  Result<LogMark> mark() override;

  // --- What a test does to it ---
  // Some of the transactions that wait reach the image, by the seed; nothing after them does. The
  // node's power_off does this too.
  void cut_power();
  // The n-th batch from now fails, 1 being the next: its transactions are all or none on the disk,
  // by the seed, and the store stays failed.
  void fail_batch(std::uint64_t nth) { fail_at_ = nth; }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::uint64_t batches() const { return batches_; }
  Nanos least_delay = 50'000;
  Nanos most_delay = milliseconds(8);

 private:
  struct Unit;
  void schedule();
  void commit_pending();

  Node& node_;
  StoreImage& durable_;
  StoreImage shown_;
  std::vector<std::shared_ptr<Unit>> pending_;
  std::shared_ptr<MemoryStore*> self_ = std::make_shared<MemoryStore*>(this);
  bool scheduled_ = false;
  bool failed_ = false;
  bool dead_ = false;
  std::uint64_t fail_at_ = 0;
  std::uint64_t batches_ = 0;
};

}  // namespace tally::sim
