// How often one may ask, with every number in one place. docs/configuration.md repeats them.
#pragma once

#include <cstdint>

namespace tally {

// In a second; whoever has rested may ask for two seconds' worth at once.
struct CallRates {
  // Of one peer. Data may be fetched by tens of thousands of calls, while a message that changes
  // state costs a transaction.
  std::uint64_t peer_calls = 100'000;
  std::uint64_t peer_messages = 5'000;     // of those calls, what the home executor handles
  std::uint64_t app_calls = 100'000;       // of one application
  std::uint64_t management_calls = 5'000;  // with one token
  // Tokens and credentials that nobody has, of one address, over all listeners.
  std::uint64_t failed_tokens = 1;
  std::uint64_t failed_tokens_at_once = 10;
};

}  // namespace tally
