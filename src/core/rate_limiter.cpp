#include "tally/core/rate_limiter.hpp"

#include <algorithm>

namespace tally {

namespace {

// Sweeping looks at every key, so that a flood of new ones must not ask for it each time.
constexpr Nanos sweep_every = nanos_per_second;

}  // namespace

RateLimiter::RateLimiter(Rate rate, std::size_t most_keys)
    : interval_(nanos_per_second / static_cast<Nanos>(rate.per_second)),
      ahead_(interval_ * static_cast<Nanos>(rate.at_once)),
      most_keys_(most_keys) {}

Nanos RateLimiter::take(std::string_view key, Instant now) {
  const std::lock_guard lock(mutex_);
  Instant& full_again = bucket_of(key, now);
  full_again = std::clamp(full_again, now, now + ahead_);
  const Nanos missing = full_again + interval_ - (now + ahead_);
  if (missing > 0) return missing;
  full_again = full_again + interval_;
  return 0;
}

Instant& RateLimiter::bucket_of(std::string_view key, Instant now) {
  const auto found = full_again_.find(key);
  if (found != full_again_.end()) return found->second;
  if (full_again_.size() >= most_keys_ && (swept_ + sweep_every <= now || now < swept_)) {
    swept_ = now;
    std::erase_if(full_again_, [now](const auto& entry) { return entry.second <= now; });
  }
  if (full_again_.size() >= most_keys_) return shared_;
  return full_again_.emplace(key, now).first->second;
}

std::size_t RateLimiter::keys() const {
  const std::lock_guard lock(mutex_);
  return full_again_.size();
}

}  // namespace tally
