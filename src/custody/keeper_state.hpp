// What the keeper is inside: one subject in two files, its start and its work.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tally/core/runs.hpp"
#include "tally/core/wakeup.hpp"
#include "tally/custody/keeper.hpp"

#include "due.hpp"

namespace tally::custody {

// So that a record stays far below what it may hold.
inline constexpr std::size_t contents_per_record = 64;

struct Keeper::State {
  State(KeeperParts parts_, OnDestroyed on_destroyed_, OnExpired on_expired_)
      : parts(parts_), on_destroyed(std::move(on_destroyed_)), on_expired(std::move(on_expired_)) {}

  KeeperParts parts;
  OnDestroyed on_destroyed;
  OnExpired on_expired;

  std::set<std::string> followed;  // expired agreements whose row has followed
  std::set<std::string> overdue;   // agreements of which the enforcement point knows a late duty
  std::set<std::string> unmasked;  // likewise, of a mask
  Runs destructions;               // one for each agreement
  // Where the record of a destruction stands, until the provider's note is handed over.
  std::map<std::string, audit::Appended> places;

  mutable std::mutex mutex;
  bool kicked = false;                      // mutex
  std::shared_ptr<Wakeup> sleeper;          // mutex
  std::map<std::string, Message> problems;  // mutex; by agreement

  [[nodiscard]] EventId event(Instant at) { return new_event(parts.random, at); }
  void problem(const AgreementId& agreement, std::optional<Message> message);
  void no_longer(const AgreementId& agreement, std::string_view code);
  bool is_failing(const AgreementId& agreement) const;  // its destruction, at the last try
  std::vector<Holding> of(const AgreementId& agreement, std::set<HoldingState> states) const;

  awaitable<bool> expire(AgreementId agreement, Due due);
  awaitable<Result<void>> begin(AgreementId agreement, Message reason, RuleId rule, bool is_duty);
  awaitable<Result<void>> shred(AgreementId agreement);
  awaitable<Result<void>> tell(AgreementId agreement);
  awaitable<Result<void>> destroy(AgreementId agreement, Message reason, RuleId rule, bool is_duty);
  awaitable<std::optional<Instant>> look();
  void tell_overdue(const AgreementId& agreement, bool done);
  // Masks what is due of it. Where it cannot be done, that is said, and uses are refused.
  awaitable<Result<void>> mask(Holding holding, MaskDue due);
  awaitable<void> mask_what_is_due(
      usage::AgreementState agreement, ClockReading reading, std::optional<Instant>* next
  );
  awaitable<Result<void>> set_destroying(Holding holding, Message reason);
  awaitable<Result<void>> destroy_unknown(std::vector<ArtefactId> there);
  awaitable<void> look_after(AgreementId id, ClockReading reading, std::optional<Instant>& next);
};

}  // namespace tally::custody
