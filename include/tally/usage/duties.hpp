// Duties that a person or another system does, and that whoever they are owed to confirms:
// compensate and obtainConsent (docs/odrl-profile.md, "Duties that are confirmed"). What the ledger
// knows of them is the sum of the log, as with uses. Values and pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/record.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/result.hpp"
#include "tally/odrl/evaluate.hpp"

namespace tally::usage {

enum class DutyChange : std::uint8_t {
  confirmed,  // duty.confirmed
  withdrawn,  // duty.withdrawn: that confirmation, for good
  asked,      // consent.asked
  rejected,   // consent.rejected: the request; a confirmation answers it too
  violated,   // obligation.violated: the deadline has passed
  fulfilled,  // obligation.fulfilled: done late
};

// What one record says of one duty.
struct DutyEvent {
  DutyChange what = DutyChange::confirmed;
  RuleId duty;
  RuleId permission;         // whose uses owe it; empty: all of the agreement
  std::string confirmation;  // of confirmed and withdrawn: what it is known by, "sha256:…"
  Instant at;                // when it was done, withdrawn, asked for, …
};

// The record that says it, without what only its writer knows. Its `at` is cut to microseconds.
audit::RecordDraft draft_of(
    const AgreementId& agreement, const DutyEvent& change, std::string_view action, EventId event
);
// What a record says; nullopt: nothing of these duties. Errors: internal (usage.record-unreadable).
Result<std::optional<DutyEvent>> read_duty_event(const audit::RecordView& record);

struct Confirmation {
  std::string id;
  Instant at;
  std::optional<Instant> withdrawn;
};

enum class DutyStanding : std::uint8_t {
  due,        // uses wait for it; or, after a use, it is owed until the deadline
  not_due,    // owed after a use, and none has been since
  confirmed,  //
  withdrawn,  // the confirmation was, and no other stands
  lapsed,     // confirmed for a period that is over
  overdue,    // its deadline has passed
};
std::string_view to_string(DutyStanding standing);  // "due", "not-due", …

// A duty of an agreement as it stands now.
struct DutyState {
  odrl::Obligation duty;
  DutyStanding standing = DutyStanding::due;
  std::optional<Instant> since;  // confirmed, withdrawn, owed, over; not of what was never owed
  std::optional<Instant> until;  // the deadline, or the end of the period that it is confirmed for
  std::optional<Instant> asked;  // somebody waits for an answer since
  std::optional<Instant> rejected;
  std::vector<Confirmation> confirmations;  // in the order of the log
  bool recorded = false;                    // that it is overdue is in the log
  // A permission waits for it; else it is owed after a use.
  [[nodiscard]] bool comes_before() const { return duty.phase != odrl::Phase::after; }
  [[nodiscard]] const Confirmation* find(std::string_view confirmation) const;
};

}  // namespace tally::usage
