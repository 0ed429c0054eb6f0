// How often something may happen under one key: a token bucket for each, in bounded memory. It
// reads no clock and knows neither callers nor addresses: what a key is, is its owner's business.
//
// Any thread; a call takes well under a microsecond.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tally/core/instant.hpp"

namespace tally {

struct Rate {
  std::uint64_t per_second = 1;  // 1 … 1,000,000
  std::uint64_t at_once = 1;     // of a key that has rested; at least 1
};

class RateLimiter {
 public:
  // Beyond `most_keys` that are not rested, all further keys share one bucket: whoever invents keys
  // gains nothing by it, and those who are known keep theirs.
  explicit RateLimiter(Rate rate, std::size_t most_keys = 4096);

  // 0: it may happen, and is counted. Else how long until it may; nothing is counted. A clock that
  // was set back costs a key no more than a full bucket.
  Nanos take(std::string_view key, Instant now);

  [[nodiscard]] std::size_t keys() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  Instant& bucket_of(std::string_view key, Instant now);

  const Nanos interval_;  // between two, at the rate
  const Nanos ahead_;     // what a bucket holds, in time: one that is full again so late is empty
  const std::size_t most_keys_;
  mutable std::mutex mutex_;
  // When the bucket of a key will be full again (GCRA); one in the past says nothing.
  std::unordered_map<std::string, Instant, Hash, std::equal_to<>> full_again_;
  Instant shared_;
  Instant swept_;
};

}  // namespace tally
