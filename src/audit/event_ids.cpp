#include "event_ids.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_map>

#include "tally/audit/recovery.hpp"

namespace tally::audit {
namespace {

// The value of a lower-case hexadecimal digit; what it makes of other characters is never asked.
constexpr std::array<std::uint8_t, 256> nibbles = [] {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<std::uint8_t, 256> values{};
  for (std::size_t i = 0; i < digits.size(); ++i) {
    values[static_cast<unsigned char>(digits[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

std::uint64_t hex_number(std::string_view digits) {
  std::uint64_t number = 0;
  for (const char c : digits) number = number << 4 | nibbles[static_cast<unsigned char>(c)];
  return number;
}

// All bits of an id in one number.
std::uint64_t mix(const EventKey& key) {
  return (key.low ^ std::rotl(key.high, 29)) * 0x9E3779B97F4A7C15ULL;
}

// The time of a UUIDv7 first, since ids that come nearly in order are sorted faster; the 40 bits
// behind it keep ids of one moment apart.
std::uint64_t fingerprint(std::string_view uuid) {
  const EventKey key = event_key(uuid);
  const std::uint64_t milliseconds = key.high >> 16;
  return milliseconds << 40 | mix(key) >> 24;
}

}  // namespace

EventKey event_key(std::string_view uuid) {
  return {
      hex_number(uuid.substr(0, 8)) << 32 | hex_number(uuid.substr(9, 4)) << 16 |
          hex_number(uuid.substr(14, 4)),
      hex_number(uuid.substr(19, 4)) << 48 | hex_number(uuid.substr(24, 12))};
}

std::size_t EventKeyHash::operator()(const EventKey& key) const {
  return mix(key);
}

void EventIds::take(std::string_view uuid) {
  fingerprints_.push_back(fingerprint(uuid));
}

Result<std::optional<RepeatedEvent>> EventIds::first_twice(
    LogStorage& storage, std::uint64_t first
) {
  std::vector<std::uint64_t> all = std::move(fingerprints_);
  fingerprints_.clear();
  const std::uint64_t taken = first + all.size();  // a log may have grown since
  std::sort(all.begin(), all.end());
  std::vector<std::uint64_t> same;
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (all[i] == all[i - 1] && (same.empty() || same.back() != all[i])) same.push_back(all[i]);
  }
  std::optional<RepeatedEvent> twice;
  if (same.empty()) return twice;

  std::unordered_map<std::string, std::uint64_t> seen;
  const auto look = [&](const RecordView& record) {
    if (twice || record.seq >= taken) return;
    if (!std::binary_search(same.begin(), same.end(), fingerprint(record.event))) return;
    const auto [earlier, is_first] = seen.emplace(record.event, record.seq);
    if (is_first) return;
    twice = RepeatedEvent{record.seq, earlier->second, std::string(record.file), record.offset};
  };
  if (auto read = for_each_record(storage, first, look); !read) return fail(std::move(read));
  return twice;
}

}  // namespace tally::audit
