// What the log says of one agreement, as sums: the entry that `authorise` looks at under its lock.
//
// Every number here is a function of the set of records, not of their order: uses that ended are
// folded into a counter, uses that may still be given back are kept one by one. So a replay of the
// log leads to the same entry. No lock, no clock, no I/O of its own.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tally/audit/appender.hpp"
#include "tally/core/json.hpp"
#include "tally/core/limits.hpp"
#include "tally/odrl/evaluate.hpp"
#include "tally/usage/enforcer.hpp"

#include "duty_book.hpp"
#include "facts.hpp"
#include "shared_wait.hpp"

namespace tally::usage {

// One permitted use, while it may still be given back or continued.
struct Use {
  std::string id;
  Instant at;                        // when it was decided
  std::vector<odrl::Consume> adds;   // n > 0
  std::string key;                   // digest of the idempotency key, or empty
  std::shared_ptr<SharedWait> wait;  // for its record; null without a key, or once it is durable
  std::uint64_t seq = 0;             // of its record, once it is durable
  Digest leaf{};
  std::size_t holders = 0;        // grants that were given out and have not ended
  std::vector<Instant> sessions;  // when those began, where how long they take is added up
  std::size_t continued = 0;
  bool ended = false;     // data moved, or a crash took its end: it counts for good
  bool aborting = false;  // its use.aborted is queued
};
using UsePtr = std::shared_ptr<Use>;

// How long a session of a use took, for the rules that add it up.
struct Session {
  std::int64_t micros = 0;
  std::vector<RuleId> rules;
};

// A completion that waits for others to share a record with.
struct Completion {
  std::string use;
  Outcome outcome;
  Session session;  // without rules: nobody asks
};

class Entry final : public DutyBook::UsesOf {
 public:
  std::shared_ptr<const AgreementTerms> terms;  // null: only records are known so far
  Closed closed = Closed::open;
  std::uint64_t closings = 0;    // how often it was closed: a reopening must know which it undoes
  audit::Ticket closing;         // the record of the present state, when close() queued it
  bool closing_durable = false;  // and it is in the log
  std::vector<RuleId> overdue;   // of all who carry duties out
  std::array<std::vector<RuleId>, 3> overdue_by;  // by Enforcer::OverdueBy
  DutyBook duties;                                // that are confirmed
  Asked asked;                                    // what the policy wants to know
  std::vector<odrl::Fact> lasting;                // of it, what does not depend on the act
  std::shared_ptr<const Surroundings> around;
  std::uint64_t around_version = 0;  // of `around`: State::surroundings_version
  bool strict = false;               // the policy speaks of a log that is witnessed strictly
  bool receipt_before_key = false;   // and of keys that are given for receipts

  std::vector<Completion> gathered;
  Instant gathered_since;

  // What odrl is to see; valid until the next change.
  [[nodiscard]] std::span<const odrl::UsageEntry> usage() const { return usage_; }
  // The same as if `use` had not been: what a continuation is decided on.
  [[nodiscard]] std::vector<odrl::UsageEntry> usage_without(const Use& use) const;
  // The same with the time of sessions, open ones up to `now` included. `without`: null, or whose
  // count and times are left out.
  [[nodiscard]] std::vector<odrl::UsageEntry> usage_at(Instant now, const Use* without) const;
  [[nodiscard]] const odrl::RuleUsage& total() const { return total_.usage; }
  [[nodiscard]] std::int64_t count(const RuleId& rule) const;
  [[nodiscard]] DutyBook::Uses uses_of(const RuleId& permission) const override;
  // How many uses of the rule stand in the window of this length that ends now.
  [[nodiscard]] std::int64_t count_within(
      const RuleId& rule, const XsdDuration& window, Instant now
  ) const;

  void permit(const UsePtr& use);
  // The use is undone: it never was.
  void give_back(const UsePtr& use);
  // It can no longer be undone.
  void end(const UsePtr& use);
  // A grant of the use begins; how long it took is told by `close_session`.
  void open_session(const UsePtr& use, Instant now);
  Session close_session(const UsePtr& use, Instant began, Instant now);
  void add_session(const Session& session);
  // The use of a grant, if it is still known.
  [[nodiscard]] UsePtr find(const std::string& use) const;
  // A grant of the use ended; forgets the use when nothing needs it any more.
  void release(const UsePtr& use);
  [[nodiscard]] std::vector<UsePtr> without_end() const;  // in order of their ids

  // The use that a request with this key continues at `now`, or null.
  UsePtr continues(const std::string& key, Instant now, const Limits& limits);
  void remember_key(const UsePtr& use, Instant now, const Limits& limits);
  void forget_key(UsePtr use);  // by value: the map that holds it changes

  // What replay made of it, for a snapshot, and back; nullopt: that is none.
  [[nodiscard]] Json save() const;
  static std::optional<Entry> restore(const Json& saved);

 private:
  // When uses were, as far as policies ask. The last but one is what the last was before the last
  // use.
  struct Times {
    std::optional<Instant> first, last, last_but_one;
    void add(Instant at);
    void give(odrl::RuleUsage& usage) const;
    [[nodiscard]] Json save() const;
    static Times restore(const Json& saved);
  };
  // One counter. The times of uses that cannot be undone are kept apart, so that an abort of the
  // first use gives the right first use afterwards.
  struct Tally {
    odrl::RuleUsage usage;
    Times all, ended;
    std::int64_t window = 0;  // seconds that the time of a use is kept; 0: not at all
    bool metered = false;
    std::int64_t micros = 0;  // of sessions that have ended
  };
  static Entry read(const Json& saved);
  static void save_times(const Tally& tally, const odrl::RuleUsage& usage, Json& into);
  static void restore_times(const Json& saved, Tally& tally, odrl::RuleUsage& usage);
  std::size_t index_of(const RuleId& rule);
  void remember_time(std::size_t index, Instant at, std::int64_t window);
  void forget_time(std::size_t index, Instant at);
  void refresh();  // usage_ and total_ from the counters and the open uses, after an abort
  void forget_if_done(const UsePtr& use);

  std::vector<Tally> tallies_;           // beside usage_
  std::vector<odrl::UsageEntry> usage_;  // in order of the rules' first use
  Tally total_;
  std::unordered_map<std::string, UsePtr> uses_;  // by id: open or continuable
  std::unordered_map<std::string, UsePtr> keys_;
  std::deque<std::pair<Instant, UsePtr>> key_order_;
};

}  // namespace tally::usage
