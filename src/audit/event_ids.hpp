// Event ids as numbers, and whether two records of a log have the same one, in eight bytes a
// record: a fingerprint of each id, and a second look at those whose fingerprints are the same.
#pragma once

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
  bool operator==(const EventKey&) const = default;
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
  // Of the next record. Precondition: is_uuid.
  void take(std::string_view uuid);

  // The first record with an id that was there before. Reads the log again only when fingerprints
  // are the same. Forgets what was taken. Errors: those of the storage.
  // `first`: the record that the first id taken is of.
  Result<std::optional<RepeatedEvent>> first_twice(LogStorage& storage, std::uint64_t first = 0);

 private:
  std::vector<std::uint64_t> fingerprints_;
};

}  // namespace tally::audit
