#include "tally/audit/snapshot_keeper.hpp"

#include <memory>
#include <optional>
#include <utility>

namespace tally::audit {

SnapshotKeeper::SnapshotKeeper(SnapshotKeeperParts parts, std::uint64_t size)
    : parts_(std::move(parts)), size_(size) {}

bool SnapshotKeeper::due() const {
  return parts_.log.segment() > size_;
}

Result<Snapshot> SnapshotKeeper::make(
    const Result<std::optional<Snapshot>>& base, const LogMark& mark
) {
  // Before the snapshot is: a start from it does not look at the hashes below it again.
  if (auto synced = parts_.log.tree().sync_tiles(mark.size); !synced)
    return fail(std::move(synced));
  auto storage = parts_.open_log();
  if (!storage) return fail(std::move(storage));
  Result<Snapshot> made = fail(ErrorKind::conflict, {"audit.snapshot-unfit", {}});
  // Only one that was read or written here: what a start refused is led on to nothing.
  if (base && *base && (*base)->at.size == size_) {
    const auto fresh = parts_.make_parts();
    made = make_snapshot(**storage, &**base, mark.size, *fresh);
  }
  if (!made) {
    const auto fresh = parts_.make_parts();
    made = make_snapshot(**storage, nullptr, mark.size, *fresh);
  }
  if (made && made->at != mark) {
    return fail(
        ErrorKind::conflict,
        {"audit.snapshot-unfit", {{"why", "leaf"}, {"size", std::to_string(mark.size)}}}
    );
  }
  return made;
}

awaitable<Result<void>> SnapshotKeeper::take() {
  const LogMark mark = parts_.log.mark();
  // The last room on the disk is for what ends things.
  if (*taking_ || mark.size <= size_ || parts_.log.failed() || parts_.log.on_reserve()) {
    co_return Result<void>{};
  }
  *taking_ = true;
  // Also when a stop takes this away, perhaps after the keeper.
  const std::shared_ptr<void> done(nullptr, [taking = taking_](void*) { *taking = false; });
  const auto base = load_snapshot(parts_.store);
  std::optional<Result<Snapshot>> made;
  std::function<void()> job = [this, &made, &base, &mark] { made = make(base, mark); };
  co_await parts_.worker.run(std::move(job));
  if (!*made) co_return fail(std::move(*made));
  auto transaction = replace_snapshot(parts_.store, **made);
  if (!transaction) co_return fail(std::move(transaction));
  auto committed = co_await parts_.journal.commit(*std::move(transaction), {});
  if (!committed) co_return fail(std::move(committed));
  size_ = mark.size;
  co_return Result<void>{};
}

}  // namespace tally::audit
