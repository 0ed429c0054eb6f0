// What the enforcement point keeps: the ledger in shards, each under a lock of its own that is
// never held across a wait. Private to the files of Enforcer.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tally/audit/appender.hpp"
#include "tally/audit/witnessing.hpp"
#include "tally/usage/enforcer.hpp"

#include "ledger.hpp"
#include "refusal.hpp"
#include "shared_wait.hpp"
#include "situation.hpp"

namespace tally::usage {

// The log said for certain that the record is not in it and never will be.
inline bool not_written(const Error& error) {
  return error.message.code == "audit.disk-reserve" ||
         error.message.code.starts_with("audit.draft-");
}

Result<void> within_bounds(const Act& act, const Limits& limits);
tl::unexpected<Error> unknown_agreement(const AgreementId& agreement);

struct Enforcer::State {
  struct alignas(64) Shard {
    mutable std::mutex mutex;  // guards everything below; never held across a wait
    std::unordered_map<std::string, Entry> entries;
    std::vector<std::string> gathering;  // agreements with completions that wait
    HoldSetPtr holds;                    // the same in every shard, but while they are changed
    // Since the process began.
    std::map<std::string, UseFigures::OfAction, std::less<>> acts;  // by action, as records say it
    std::map<std::string, std::uint64_t, std::less<>> refusals;     // by code
    // What is counted of acts of this kind.
    UseFigures::OfAction& acts_of(std::string_view action);
  };

  // An answer that holds once its record is durable.
  struct Decided {
    Authorised answer;
    UsePtr use;                          // of a grant
    audit::Ticket ticket;                // of a refusal or a use without a key
    std::shared_ptr<SharedWait> shared;  // of a use with a key; neither: durable already
  };

  State(Clock& clock_, Random& random_, const Limits& limits_)
      : clock(clock_), random(random_), limits(limits_) {}

  Shard& shard_of(const std::string& agreement) {
    return shards[std::hash<std::string>{}(agreement) % shards.size()];
  }
  // Null when the agreement is not known. The lock is held.
  static Entry* find(Shard& shard, const std::string& agreement) {
    const auto found = shard.entries.find(agreement);
    return found == shard.entries.end() ? nullptr : &found->second;
  }

  // As precise as a record says it: replay must come to the same numbers.
  ClockReading read_clock() {
    ClockReading reading = clock.read();
    reading.at.nanos -= reading.at.nanos % 1000;
    return reading;
  }
  // Whose cosignature is missing under an agreement that asks. The lock of its shard is held.
  [[nodiscard]] std::optional<audit::Unwitnessed> unwitnessed(const Entry& entry) const {
    if (!entry.strict) return std::nullopt;
    const AgreementTerms& terms = *entry.terms;
    const bool provides = terms.our_side == odrl::Side::provider;
    const PartyId& other = provides ? terms.consumer : terms.provider;
    if (witnessing == nullptr) return audit::Unwitnessed{other.uri, clock.read().at, other, {}};
    return witnessing->missing(terms.id.value, other);
  }
  // What odrl sees around an act. The lock of the entry's shard is held.
  Around around(Entry& entry, const ClockReading& reading, const Act& act);
  // Of a grant, how many uses are left to the rule that carried it; nullopt: no limit of ours.
  [[nodiscard]] static std::optional<std::int64_t> left(
      const Entry& entry, const RuleId& rule, Instant now
  );
  // When a stream has to be asked for again; nullopt: nothing turns by itself.
  [[nodiscard]] static std::optional<Instant> ask_again(
      const Entry& entry, const odrl::Decision& decision, Instant now
  );
  EventId event() { return new_event(random, clock.read().at); }
  // The hold that stops an act, or null. The lock of the shard is held.
  static const Hold* stopping(
      const Shard& shard, const AgreementTerms& terms, const AppId& app, const ClockReading& now
  ) {
    if (!shard.holds) return nullptr;
    return shard.holds->stopping({terms.id, terms.provider, terms.consumer, terms.asset, app}, now);
  }

  Result<Decided> decide(const Act& act);
  // The lock of the shard is held.
  Decided deny(Shard& shard, const Act& act, const EventId& event, Instant at, Refusal refusal);
  void undecide(const Act& act, const Decided& decided, const Error& error);
  // The lock is held; at most Limits::uses_per_record are gathered.
  audit::RecordDraft take_gathered(const std::string& agreement, Entry& entry);

  audit::LogAppender* log = nullptr;
  const audit::Witnessing* witnessing = nullptr;
  const Contacts* contacts = nullptr;
  std::mutex surroundings_mutex;  // guards the pointer; taken under that of a shard
  std::shared_ptr<const Surroundings> surroundings = std::make_shared<const Surroundings>();
  std::atomic<bool> anyone_informed = false;  // of a use under an agreement
  std::atomic<std::uint64_t> surroundings_version = 1;
  std::string last_time;                      // of the last record that was replayed
  Histogram taken{duration_bounds()};         // nanoseconds of authorise
  std::atomic<std::uint64_t> unrecorded = 0;  // decided, and the log did not take the record
  Clock& clock;
  Random& random;
  const Limits limits;
  std::array<Shard, 64> shards;
};

}  // namespace tally::usage
