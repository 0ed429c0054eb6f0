#include "log_key_rotation.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/appender.hpp"
#include "tally/audit/log_tree.hpp"
#include "tally/core/ids.hpp"

namespace tally::daemon {

Result<void> LogKeyRotation::begin() {
  auto& tree = parts_.log.tree();
  tree.sign_with(current_.key, current_.signer);
  auto former = former_log_key(parts_.file, keys_);
  if (!former) return fail(std::move(former));
  if (*former) {
    tree.sign_also_with((*former)->key, (*former)->signer);
    overlap_until_ = audit::parse_rotation(keys_.entries().back().note)->overlap_until;
  }
  return {};
}

awaitable<Result<Json>> LogKeyRotation::rotate(
    Nanos overlap, std::function<void(const audit::LogKeys&)> told
) {
  if (std::exchange(rotating_, true)) co_return fail(ErrorKind::conflict, {"daemon.rotating", {}});
  auto done = co_await rotate_alone(overlap, std::move(told));
  rotating_ = false;
  co_return done;
}

awaitable<Result<Json>> LogKeyRotation::rotate_alone(
    Nanos overlap, std::function<void(const audit::LogKeys&)> told
) {
  auto& tree = parts_.log.tree();
  const auto reading = parts_.clock.read();
  if (!reading.reliable) {
    co_return fail(ErrorKind::unavailable, {"daemon.clock-stepped", {}});
  }
  if (keys_.entries().size() > audit::most_rotations) {
    const Message most{"daemon.rotations-most", {{"most", std::to_string(audit::most_rotations)}}};
    co_return fail(ErrorKind::conflict, most);
  }
  const LogSigner before = current_;
  Result<LogSigner> next = before;
  auto make = [this, &next] { next = make_next_log_key(parts_.file, current_.key.name); };
  co_await parts_.worker.run(std::move(make));
  if (!next) co_return fail(std::move(next));
  audit::KeyRotation rotation{before.key.name, before.key, next->key, reading.at + overlap};
  rotation.overlap_until.nanos = 0;
  const auto note = audit::sign_rotation(rotation, before.signer, next->signer);
  if (!note) co_return tl::unexpected(note.error());

  // From here to the record nothing is signed: no checkpoint over it may bear the old key alone.
  auto hold = [&tree] { tree.hold_signing(); };
  co_await parts_.worker.run(std::move(hold));
  audit::RecordDraft draft("key.rotated", new_event(parts_.random, reading.at));
  draft.set("vkey", next->key.text()).set("note", *note);
  const auto recorded = co_await audit::append(parts_.log, std::move(draft));
  if (!recorded && !parts_.log.failed()) {
    tree.sign_with(before.key, before.signer);
    auto drop = [this] { (void)drop_next_log_key(parts_.file); };
    co_await parts_.worker.run(std::move(drop));
  }
  // After a failure of the log the record may be there all the same: the next start knows.
  if (!recorded) co_return tl::unexpected(recorded.error());
  if (auto known = keys_.rotate(recorded->seq, *note); !known) co_return fail(std::move(known));
  tree.rotated(next->key);
  current_ = *next;
  tree.sign_with(next->key, next->signer);
  tree.sign_also_with(before.key, before.signer);
  overlap_until_ = rotation.overlap_until;
  told(keys_);
  Result<void> taken;
  auto take = [this, &taken] { taken = take_next_log_key(parts_.file); };
  co_await parts_.worker.run(std::move(take));
  // The next start finishes it.
  if (!taken) parts_.notices.note(Severity::error, taken.error().message);
  co_return Json{
      {"vkey", next->key.text()},
      {"before", before.key.text()},
      {"seq", recorded->seq},
      {"overlapUntil", format_seconds(rotation.overlap_until)}};
}

awaitable<void> LogKeyRotation::end_overlap() {
  if (!overlap_until_ || rotating_) co_return;
  const auto reading = parts_.clock.read();
  if (!reading.reliable || reading.at < *overlap_until_) co_return;
  const auto& entries = keys_.entries();
  audit::RecordDraft draft("admin.action", new_event(parts_.random, reading.at));
  draft.set("action", "log-key.erased").set("vkey", entries[entries.size() - 2].key.text());
  const auto recorded = co_await audit::append(parts_.log, std::move(draft));
  if (!recorded) co_return;  // tried again, if the log goes on
  overlap_until_.reset();
  parts_.log.tree().sign_with(current_.key, current_.signer);
  Result<void> erased;
  auto erase = [this, &erased] { erased = erase_former_log_key(parts_.file); };
  co_await parts_.worker.run(std::move(erase));
  if (!erased) parts_.notices.note(Severity::error, erased.error().message);
}

}  // namespace tally::daemon
