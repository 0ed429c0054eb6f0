// What stands for the records that a log no longer has: `retention.pruned`, which says that they
// were pruned, and the snapshot file beside the segments, which says what they added up to. The
// hashes of the pruned records stay in the side files; docs/audit-log-format.md, "Pruning".
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/log_storage.hpp"
#include "tally/audit/record.hpp"
#include "tally/audit/snapshot.hpp"

namespace tally::audit {

// What a `retention.pruned` record says. All records before `to` may be gone once it is durable.
struct Pruned {
  std::uint64_t from = 0;  // where the log began until then
  std::uint64_t to = 0;    // and from then on
  Digest root{};           // of the tree over the records before `to`
  Digest snapshot{};       // SHA-256 of the snapshot file
  bool operator==(const Pruned&) const = default;
};
// nullopt: a member is missing or of another form.
std::optional<Pruned> parse_pruned(const RecordView& record);

// The file at the point of pruning.
struct PrunedSnapshot {
  Snapshot snapshot;                 // of exactly the records before `to`
  std::vector<std::string> records;  // the first one, and each key.rotated, as they stood
  Digest digest{};                   // of the file
};
std::string pruned_file(std::uint64_t to);
// nullopt for names that are no such file's.
std::optional<std::uint64_t> pruned_to(std::string_view name);
std::string to_text(const Snapshot& snapshot, const std::vector<std::string>& records);

// The record that a log begins with now: 0 unless it was pruned, or has no segment. Errors:
// unavailable.
Result<std::uint64_t> first_kept(LogStorage& storage);
// What stands for the records before `to`. Errors: conflict audit.pruned-absent {file},
// audit.pruned-malformed {file}, unavailable.
Result<PrunedSnapshot> read_pruned(LogStorage& storage, std::uint64_t to);
// What stands for the records that are missing at the beginning of a log; nullopt when it has all
// of them. That a record of the log vouches for it is for the caller to check. Errors: those of
// read_pruned, with conflict audit.pruned-absent also when no file leads up to a segment.
Result<std::optional<PrunedSnapshot>> read_missing(LogStorage& storage);

// The leaf hashes of the records before `to`, in order, as the side files have them. Errors:
// unavailable.
Result<void> for_each_pruned_leaf(
    LogStorage& storage, std::uint64_t to, const std::function<void(const Digest&)>& each
);

}  // namespace tally::audit
