#include "event_ids.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_map>
#include <utility>

#include "tally/audit/recovery.hpp"

#include "chain.hpp"

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
std::uint64_t fingerprint(const EventKey& key) {
  return (key.low ^ std::rotl(key.high, 29)) * 0x9E3779B97F4A7C15ULL;
}

// Of a record that is read again. The file may be another one by now.
std::uint64_t fingerprint_again(const RecordView& record) {
  return is_uuid(record.event) ? fingerprint(event_key(record.event)) : 0;
}

// Of an id of version 7, in milliseconds; of another one anything, but always the same.
std::uint64_t time_of(const EventKey& key) {
  return key.high >> 16;
}

}  // namespace

EventKey event_key(std::string_view uuid) {
  return {
      hex_number(uuid.substr(0, 8)) << 32 | hex_number(uuid.substr(9, 4)) << 16 |
          hex_number(uuid.substr(14, 4)),
      hex_number(uuid.substr(19, 4)) << 48 | hex_number(uuid.substr(24, 12))};
}

std::size_t EventKeyHash::operator()(const EventKey& key) const {
  return fingerprint(key);
}

EventIds::EventIds(std::size_t most_recent) : most_recent_(std::max<std::size_t>(most_recent, 2)) {}

void EventIds::take(std::string_view uuid) {
  ++taken_;
  const EventKey key = event_key(uuid);
  if (gone_ && time_of(key) <= *gone_) {
    late_.push_back(fingerprint(key));
    return;
  }
  recent_.push_back(key);
  if (recent_.size() < most_recent_) return;
  settle();
  const std::size_t half = recent_.size() / 2;
  gone_ = time_of(recent_[half - 1]);
  recent_.erase(recent_.begin(), recent_.begin() + static_cast<std::ptrdiff_t>(half));
  sorted_ = recent_.size();
}

// Sorts the recent ones and notes which are there twice.
void EventIds::settle() {
  const auto middle = recent_.begin() + static_cast<std::ptrdiff_t>(sorted_);
  std::sort(middle, recent_.end());
  std::inplace_merge(recent_.begin(), middle, recent_.end());
  sorted_ = recent_.size();
  for (std::size_t i = 1; i < recent_.size(); ++i) {
    if (recent_[i] == recent_[i - 1]) twice_.push_back(fingerprint(recent_[i]));
  }
}

// What the late ones are the same as may be anywhere before them.
Result<void> EventIds::find_late_ones_twice(LogStorage& storage, std::uint64_t first) {
  if (late_.empty()) return {};
  std::sort(late_.begin(), late_.end());
  late_.erase(std::unique(late_.begin(), late_.end()), late_.end());
  std::vector<bool> seen(late_.size());
  return for_each_record(storage, first, [&](const RecordView& record) {
    if (record.seq >= first + taken_) return;
    const std::uint64_t one = fingerprint_again(record);
    const auto found = std::lower_bound(late_.begin(), late_.end(), one);
    if (found == late_.end() || *found != one) return;
    const auto place = static_cast<std::size_t>(found - late_.begin());
    if (seen[place]) twice_.push_back(one);
    seen[place] = true;
  });
}

Result<std::optional<RepeatedEvent>> EventIds::first_twice(
    LogStorage& storage, std::uint64_t first
) {
  settle();
  EventIds taken = std::exchange(*this, EventIds(most_recent_));
  taken.recent_ = {};
  if (auto looked = taken.find_late_ones_twice(storage, first); !looked) {
    return fail(std::move(looked));
  }
  Fingerprints& same = taken.twice_;
  std::sort(same.begin(), same.end());
  std::optional<RepeatedEvent> twice;
  if (same.empty()) return twice;

  std::unordered_map<std::string, std::uint64_t> seen;
  const auto look = [&](const RecordView& record) {
    if (twice || record.seq >= first + taken.taken_) return;  // a log may have grown since
    if (!std::binary_search(same.begin(), same.end(), fingerprint_again(record))) return;
    const auto [earlier, is_first] = seen.emplace(record.event, record.seq);
    if (is_first) return;
    twice = RepeatedEvent{record.seq, earlier->second, std::string(record.file), record.offset};
  };
  if (auto read = for_each_record(storage, first, look); !read) return fail(std::move(read));
  return twice;
}

}  // namespace tally::audit
