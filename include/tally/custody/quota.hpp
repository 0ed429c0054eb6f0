// How much may be held: in all and of each provider, counted in plain bytes of what is held, of
// what waits to be received, and of what is being fetched (the whole of it, where its length is
// known). Whoever fetches reserves first. Home executor.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "tally/core/notices.hpp"
#include "tally/custody/holdings.hpp"

namespace tally::custody {

struct QuotaSettings {
  std::optional<std::uint64_t> total;      // bytes
  std::map<PartyId, std::uint64_t> peers;  // of those that have one of their own
};

class Quota {
 public:
  struct Line {
    std::optional<PartyId> provider;  // nullopt: all of them together
    std::uint64_t bytes = 0;
    std::optional<std::uint64_t> quota;
  };

  explicit Quota(const Holdings& holdings, Notices& notices)
      : holdings_(holdings), notices_(notices) {}

  void set(QuotaSettings settings) { settings_ = std::move(settings); }

  // Room for `bytes` in all for what the process fetches, in place of what it had before. Errors:
  // conflict (custody.quota-exceeded {process, bytes}); what it had before stays. The numbers are
  // in a notice, since the sentence is told to the provider.
  Result<void> reserve(const Pid& process, const PartyId& provider, std::uint64_t bytes);
  // What it fetched is in its holding now, or nowhere.
  void release(const Pid& process) { reserved_.erase(process.value); }

  // First all together, then each provider of whom something is held or that has a quota.
  [[nodiscard]] std::vector<Line> lines() const;

 private:
  struct Reserved {
    PartyId provider;
    std::uint64_t bytes = 0;
  };
  [[nodiscard]] std::map<PartyId, std::uint64_t> occupied(const Pid* but) const;

  const Holdings& holdings_;
  Notices& notices_;
  QuotaSettings settings_;
  std::map<std::string, Reserved> reserved_;  // by process
};

}  // namespace tally::custody
