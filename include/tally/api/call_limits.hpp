// How often a caller may ask at one listener, and how many tokens that nobody has an address may
// show. What comes too soon is answered 429 with Retry-After, before anything is done for it.
//
// A token that is right is let in whatever its address did before: on loopback and behind a proxy
// many callers share one, and tokens of 32 random bytes are not found by guessing. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tally/api/router.hpp"
#include "tally/core/rate_limiter.hpp"

namespace tally::api {

// Told of every call that was refused so. Any thread, floods included: it must be quick, and it
// aggregates.
class LimitedCalls {
 public:
  virtual ~LimitedCalls() = default;
  // `who`: a party, an application, or what records call a token by; of unknown tokens the address.
  virtual void limited(
      std::string_view listener, std::string_view code, const std::string& who
  ) = 0;
};

class CallLimits {
 public:
  struct Rates {
    Rate calls;                    // of one caller
    std::optional<Rate> messages;  // of those, what runs on the home executor
  };
  // `failed_tokens` is shared by the listeners of a connector. It and `refusals` must outlive this.
  CallLimits(
      std::string_view listener, Rates rates, RateLimiter& failed_tokens, LimitedCalls& refusals
  );

  // Null: the call of `caller` goes on. Else its answer.
  [[nodiscard]] std::optional<HttpResponse> refuse(
      const std::string& caller, Where where, Instant now, Lang lang
  );
  // After a token or credential turned out to be nobody's. Null: it is answered as such. A request
  // that shows none at all is no attempt.
  [[nodiscard]] std::optional<HttpResponse> refuse_unknown(
      const identity::Caller& caller, Instant now, Lang lang
  );

 private:
  HttpResponse answer(std::string_view code, const std::string& who, Nanos wait, Lang lang);

  const std::string listener_;
  RateLimiter calls_;
  std::optional<RateLimiter> messages_;
  RateLimiter& failed_tokens_;
  LimitedCalls& refusals_;
};

// What an address counts as: itself, and of IPv6 its /64, which is what one subscriber has.
// `source` is that of a Caller.
std::string network_of(std::string_view source);

}  // namespace tally::api
