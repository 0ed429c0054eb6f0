// Event ids as numbers, and whether two records of a log have the same one: exactly, and in bounded
// memory while ids come nearly in the order of their times. Two that are the same have the same
// time, so the ones of the last half a million records answer for an id that is later than what was
// forgotten; for the others the log is read again.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/log_storage.hpp"

namespace tally::audit {

// The 16 bytes of an event id.
struct EventKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const EventKey&) const = default;
};
// Precondition: is_uuid.
EventKey event_key(std::string_view uuid);

struct EventKeyHash {
  std::size_t operator()(const EventKey& key) const;
};

// A record whose event id an earlier one has.
struct RepeatedEvent {
  std::uint64_t seq = 0;
  std::uint64_t first = 0;  // the earlier one
  std::string file;
  std::uint64_t offset = 0;
};

class EventIds {
 public:
  // Holds at most so many ids, of 16 bytes; and 8 bytes for each that comes later than its time.
  explicit EventIds(std::size_t most_recent = std::size_t{1} << 19);

  // Of the next record. Precondition: is_uuid.
  void take(std::string_view uuid);

  // The first record with an id that was there before. Reads the log again when an id came late or
  // is there twice. Forgets what was taken. Errors: those of the storage.
  // `first`: the record that the first id taken is of.
  Result<std::optional<RepeatedEvent>> first_twice(LogStorage& storage, std::uint64_t first = 0);

 private:
  using Fingerprints = std::vector<std::uint64_t>;
  void settle();
  Result<void> find_late_ones_twice(LogStorage& storage, std::uint64_t first);

  std::size_t most_recent_;
  std::uint64_t taken_ = 0;
  std::vector<EventKey> recent_;
  std::size_t sorted_ = 0;             // so many of them, at the front
  std::optional<std::uint64_t> gone_;  // the latest time of those that were forgotten
  Fingerprints late_;   // of ids that are not later than that: they may have been among those
  Fingerprints twice_;  // of ids that several records have
};

}  // namespace tally::audit
