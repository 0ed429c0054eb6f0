#include "tally/audit/pruning.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/tiles.hpp"

#include "log_format.hpp"
#include "log_state.hpp"
#include "record_scan.hpp"
#include "segment_reader.hpp"

namespace tally::audit {
namespace {

// The records up to a time, as far as pruning asks.
class Scan {
 public:
  Scan(const Term& term, const PrunedSnapshot* missing, const LogState* state)
      : term_(term), by_(format_micros(term.by())), missing_(missing), state_(state) {}

  // False: the record is behind the time, and nothing of it was taken.
  bool take(std::uint64_t segment, const FrameRecord& record) {
    const RecordScan scan = scan_record(record.text);
    if (scan.plain("time") > by_) return false;
    const std::string_view type = scan.plain("type");
    if (seen_ == 0 || type == "key.rotated") kept_.emplace_back(seen_, record.text);
    if (const std::string_view agreement = scan.value("agreement"); !agreement.empty()) {
      auto [known, is_new] = agreements_.try_emplace(unquote(agreement));
      Agreement& of = known->second;
      if (is_new) {
        of.segment = segment;
        // With records that were pruned, it had ended long before these.
        of.past = state_ != nullptr && state_->chain.state().agreements.contains(known->first);
      }
      if (type == "contract.finalized") of.retention = retention_in(scan.value("retention"));
      if (ends(type, scan.plain("ledger"))) of.end = scan.plain("time");
    }
    ++seen_;
    return true;
  }

  void begin_at(std::uint64_t seq) { seen_ = seq; }
  // How many records of the log were taken, with those that are gone.
  [[nodiscard]] std::uint64_t seen() const { return seen_; }

  // Why an agreement keeps the segment.
  [[nodiscard]] std::map<std::uint64_t, Message> kept_segments() const {
    std::map<std::uint64_t, Message> kept;
    for (const auto& [agreement, of] : agreements_) {
      if (of.past || kept.contains(of.segment)) continue;
      if (auto why = why_kept(agreement, of)) kept.emplace(of.segment, *std::move(why));
    }
    return kept;
  }
  [[nodiscard]] std::vector<std::string> kept_before(std::uint64_t to) const {
    std::vector<std::string> kept;
    if (missing_ != nullptr) kept = missing_->records;
    for (const auto& [seq, text] : kept_) {
      if (seq < to) kept.push_back(text);
    }
    return kept;
  }

 private:
  struct Agreement {
    std::uint64_t segment = 0;           // of its first record here
    bool past = false;                   // its first records went before, so all of them may go
    std::string end;                     // the last time that it ended; empty: it is open
    std::vector<std::string> retention;  // as its policy asks
  };

  [[nodiscard]] std::optional<Message> why_kept(const std::string& agreement, const Agreement& of)
      const {
    std::map<std::string, std::string> params{
        {"seq", std::to_string(of.segment)}, {"agreement", agreement}};
    if (of.end.empty()) {
      params["by"] = format_seconds(term_.by());
      return Message{"audit.prune-open", std::move(params)};
    }
    const auto ended = parse_date_time(of.end);
    std::optional<Instant> until;  // the latest
    for (const std::string& text : of.retention) {
      const auto duration = parse_duration(text);
      // What cannot be read asks for ever.
      const Instant wanted =
          ended && duration ? add(ended->instant, *duration) : Instant{INT64_MAX, 0};
      if (wanted <= term_.now || (until && wanted <= *until)) continue;
      until = wanted;
      params["retention"] = text;
    }
    if (until) {
      params["end"] = of.end;
      return Message{"audit.prune-retention", std::move(params)};
    }
    return std::nullopt;
  }

  // Canonical JSON: a list of texts without escapes.
  static std::vector<std::string> retention_in(std::string_view list) {
    if (list.empty()) return {};
    const Json parsed = Json::parse(list, nullptr, false);
    if (!parsed.is_array()) return {std::string(list)};
    std::vector<std::string> found;
    for (const Json& one : parsed) found.push_back(one.is_string() ? one.get<std::string>() : "");
    return found;
  }

  // For good: one that is suspended may go on.
  static bool ends(std::string_view type, std::string_view ledger) {
    if (!ledger.empty()) return ledger == "expired" || ledger == "terminated";
    return type == "contract.terminated" || type == "policy.expired" || type == "policy.revoked";
  }

  const Term term_;
  const std::string by_;
  const PrunedSnapshot* missing_;
  const LogState* state_;
  std::uint64_t seen_ = 0;
  std::map<std::string, Agreement> agreements_;
  std::vector<std::pair<std::uint64_t, std::string>> kept_;
};

Result<void> read_to(LogStorage& storage, const std::vector<SegmentName>& segments, Scan& scan) {
  for (const SegmentName& segment : segments) {
    if (segment.first_seq != scan.seen()) return {};
    auto reader = SegmentReader::open(storage, segment.name);
    if (!reader) return fail(std::move(reader));
    for (std::uint64_t offset = 0;;) {
      auto frame = reader->frame_at(offset);
      if (!frame) return fail(std::move(frame));
      if (frame->state != FrameState::valid || frame->first_seq != scan.seen()) break;
      for (const FrameRecord& record : frame->records) {
        if (!scan.take(segment.first_seq, record)) return {};
      }
      offset += frame->length;
    }
  }
  return {};
}

// The size of the full tiles that have all leaves before `to`.
std::uint64_t tiles_over(std::uint64_t to) {
  return (to + tile_width - 1) / tile_width * tile_width;
}

}  // namespace

Result<Prunable> find_prunable(LogStorage& storage, const Term& term, std::uint64_t below) {
  const auto segments = list_segments(storage);
  if (!segments) return tl::unexpected(segments.error());
  Prunable found;
  found.why = {"audit.prune-last-segment", {}};
  if (segments->empty()) return found;
  if (!term.reliable) {
    found.to = segments->front().first_seq;
    found.why = {"audit.prune-clock", {{"now", format_seconds(term.now)}}};
    return found;
  }
  const auto missing = read_missing(storage);
  if (!missing) return tl::unexpected(missing.error());
  std::optional<LogState> state;
  if (*missing) {
    auto restored = restore_log((*missing)->snapshot);
    if (!restored) return fail(std::move(restored));
    state = *std::move(restored);
  }
  Scan scan(term, *missing ? &**missing : nullptr, state ? &*state : nullptr);
  found.to = segments->front().first_seq;
  scan.begin_at(found.to);
  if (auto read = read_to(storage, *segments, scan); !read) return fail(std::move(read));

  const auto kept = scan.kept_segments();
  for (std::size_t i = 1; i < segments->size(); ++i) {
    const std::uint64_t first = (*segments)[i - 1].first_seq;
    const std::uint64_t behind = (*segments)[i].first_seq;
    const std::string seq = std::to_string(first);
    if (behind > below) {
      found.why = {"audit.prune-not-covered", {{"seq", seq}, {"size", std::to_string(below)}}};
      break;
    }
    if (scan.seen() < behind) {
      found.why = {"audit.prune-young", {{"seq", seq}, {"by", format_seconds(term.by())}}};
      break;
    }
    if (const auto keeps = kept.find(first); keeps != kept.end()) {
      found.why = keeps->second;
      break;
    }
    found.to = behind;
  }
  found.records = scan.kept_before(found.to);
  return found;
}

Result<PrunedSnapshot> write_pruned(
    LogStorage& storage, const Prunable& prunable, LogParts& parts
) {
  auto snapshot = make_snapshot(storage, nullptr, prunable.to, parts);
  if (!snapshot) return fail(std::move(snapshot));
  const std::string text = to_text(*snapshot, prunable.records);
  const std::string name = pruned_file(prunable.to);
  if (auto put = storage.replace_small(name, text); !put) return fail(std::move(put));
  return PrunedSnapshot{*std::move(snapshot), prunable.records, sha256(text)};
}

Result<void> remove_pruned(
    LogStorage& storage, LogTree& tree, const std::optional<Pruned>& pruned
) {
  if (pruned) {
    const auto changed = [&pruned](std::string file) {
      return fail(
          ErrorKind::conflict,
          {"audit.pruned-changed", {{"file", std::move(file)}, {"seq", std::to_string(pruned->to)}}}
      );
    };
    const auto segments = list_segments(storage);
    if (!segments) return tl::unexpected(segments.error());
    if (segments->front().first_seq < pruned->to) {
      const auto file = read_pruned(storage, pruned->to);
      if (!file) return tl::unexpected(file.error());
      if (file->digest != pruned->snapshot) return changed(pruned_file(pruned->to));
      if (auto synced = tree.sync_tiles(tiles_over(pruned->to)); !synced) return synced;
      const auto root = tree.root(pruned->to);
      if (!root) return tl::unexpected(root.error());
      if (*root != pruned->root) return changed(level_file(0));
    }
    for (const SegmentName& segment : *segments) {
      if (segment.first_seq >= pruned->to) break;
      if (auto removed = storage.remove(segment.name); !removed) return removed;
    }
  }
  const auto names = storage.list();
  if (!names) return tl::unexpected(names.error());
  for (const std::string& name : *names) {
    const auto to = pruned_to(name);
    if (!to || (pruned && *to == pruned->to)) continue;
    if (auto removed = storage.remove(name); !removed) return removed;
  }
  return {};
}

Pruning::Pruning(PruningParts parts, std::optional<Pruned> before, Nanos term)
    : parts_(std::move(parts)), before_(before), term_(term) {}

// No record from here on may go, whatever its age.
Result<std::uint64_t> Pruning::most() const {
  // A start goes on from the store's snapshot, so the segment that it ends in stays.
  const auto snapshot = load_snapshot(parts_.store);
  if (!snapshot) return tl::unexpected(snapshot.error());
  if (!*snapshot) return 0;
  const auto segments = list_segments(parts_.storage);
  if (!segments) return tl::unexpected(segments.error());
  std::uint64_t most = 0;
  for (const SegmentName& segment : *segments) {
    if (segment.first_seq < (*snapshot)->at.size) most = segment.first_seq;
  }
  // Whose records a start would look for.
  const auto drafts = parts_.store.drafts();
  if (!drafts) return tl::unexpected(drafts.error());
  for (const DraftRow& draft : *drafts) most = std::min(most, draft.log_size);
  // Leaf hashes of a tile that is not full may stand in the segments alone.
  const std::uint64_t size = parts_.log.mark().size;
  most = std::min(most, size - size % tile_width);
  // What nobody else has seen stays until somebody has.
  const auto witnessed = parts_.is_witnessed();
  if (!witnessed) return tl::unexpected(witnessed.error());
  if (*witnessed) {
    const auto cosigned = checkpoint_of({{}, {}, parts_.log.tree().cosigned()});
    most = std::min(most, cosigned ? cosigned->size : 0);
  }
  return most;
}

Result<PrunedSnapshot> Pruning::write(const Term& term, std::uint64_t below, Prunable& prunable)
    const {
  // What an attempt before this one may have left.
  auto tidied = remove_pruned(parts_.storage, parts_.log.tree(), before_);
  if (!tidied) return fail(std::move(tidied));
  auto found = find_prunable(parts_.storage, term, below);
  if (!found) return fail(std::move(found));
  prunable = *std::move(found);
  const std::uint64_t first = before_ ? before_->to : 0;
  if (prunable.to <= first) return PrunedSnapshot{};
  auto synced = parts_.log.tree().sync_tiles(tiles_over(prunable.to));
  if (!synced) return fail(std::move(synced));
  const auto fresh = parts_.make_parts();
  return write_pruned(parts_.storage, prunable, *fresh);
}

awaitable<Result<Pruning::Outcome>> Pruning::prune() {
  if (*under_way_) {
    co_return fail(ErrorKind::conflict, {"audit.prune-under-way", {}});
  }
  *under_way_ = true;
  // Also when a stop takes this away, perhaps after the object.
  const std::shared_ptr<void> done(nullptr, [flag = under_way_](void*) { *flag = false; });
  auto taken = co_await parts_.snapshots.take();
  if (!taken) co_return fail(std::move(taken));
  const auto below = most();
  if (!below) co_return tl::unexpected(below.error());

  const ClockReading reading = parts_.clock.read();
  const Term term{reading.at, term_, reading.reliable};
  Prunable prunable;
  std::optional<Result<PrunedSnapshot>> written;
  std::function<void()> write_file = [this, &written, &prunable, &term, below = *below] {
    written = write(term, below, prunable);
  };
  co_await parts_.worker.run(std::move(write_file));
  if (!*written) co_return fail(std::move(*written));
  const std::uint64_t first = before_ ? before_->to : 0;
  if (prunable.to <= first) co_return Outcome{std::nullopt, std::move(prunable.why)};

  const auto root = parts_.log.tree().root(prunable.to);
  if (!root) co_return tl::unexpected(root.error());
  const Pruned pruned{first, prunable.to, *root, (*written)->digest};
  RecordDraft draft("retention.pruned", new_event(parts_.random, parts_.clock.read().at));
  draft.set("from", pruned.from)
      .set("to", pruned.to)
      .set("root", pruned.root)
      .set("snapshot", pruned.snapshot);
  auto recorded = co_await append(parts_.appender, std::move(draft));
  if (!recorded) co_return fail(std::move(recorded));
  before_ = pruned;

  Result<void> removed;
  std::function<void()> remove = [this, &removed, &pruned] {
    removed = remove_pruned(parts_.storage, parts_.log.tree(), pruned);
  };
  co_await parts_.worker.run(std::move(remove));
  if (!removed) co_return fail(std::move(removed));
  co_return Outcome{pruned, std::move(prunable.why)};
}

}  // namespace tally::audit
