// The holds of this connector: kept in the store, recorded in the log, and in force in the
// enforcement point. A hold is in force before its record is written and until after the record of
// its end is durable: where something fails in between, uses stay refused.
//
// Home executor only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tally/audit/hold_order.hpp"
#include "tally/audit/journal.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/store.hpp"
#include "tally/usage/enforcer.hpp"
#include "tally/usage/holds.hpp"

namespace tally::usage {

inline constexpr std::string_view hold_kind = "hold";  // of the rows

// The ids of holds that are not an operator's own: no operator can take them for one of his.
std::string own_suspension(const AgreementId& agreement);   // we suspended it
std::string peer_suspension(const AgreementId& agreement);  // the other side did
std::string regulator_hold(const std::string& regulator, const std::string& hold);

struct HoldBookParts {
  Store& store;
  audit::Journal& journal;
  Clock& clock;
  Random& random;
  Enforcer& enforcer;
};

// What has to be durable together with a hold.
struct HoldCommit {
  std::vector<Row> puts;
  std::vector<OutgoingMessage> messages;
  std::string said;  // why, in words that are shown and told, and never stand in the log
};

class HoldBook {
 public:
  HoldBook(HoldBookParts parts, PartyId self, std::vector<audit::Regulator> regulators);
  // Called whenever what is held has changed.
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }

  Result<void> load();  // at start, before anything is authorised
  void set_regulators(std::vector<audit::Regulator> regulators) {
    regulators_ = std::move(regulators);
  }
  [[nodiscard]] bool has_regulators() const { return !regulators_.empty(); }

  // `since` is set here; an empty id gets one. In force from the call on, durable on return. One of
  // this id that stands and says the same is returned as it is, and nothing is committed. Errors:
  // not_found (usage.unknown-agreement), conflict (usage.hold-exists), unavailable
  // (usage.hold-busy, and those of Journal::commit: it stays in force).
  awaitable<Result<Hold>> place(Hold hold, HoldCommit with = {});
  // True: it stood. False: it did not, and `with` is committed all the same. Errors: forbidden
  // (usage.hold-of-another), unavailable (as above: it stays in force).
  awaitable<Result<bool>> lift(
      std::string id, HoldBy by, std::string reference, HoldCommit with = {}
  );

  // Does what the note orders. One that is refused is in the log (`hold.refused`), of each sender
  // at most 100 in an hour. `from`: the peer that brought it; nullopt: an operator did. A repeat of
  // the last order about a hold is answered as the first time. Errors: invalid (those of
  // verify_hold_order, usage.order-for-another, usage.order-too-early), conflict
  // (usage.order-older), not_found (usage.unknown-agreement), unavailable.
  struct Taken {
    std::string id;
    bool lifted = false;
  };
  awaitable<Result<Taken>> take(std::string note, std::optional<PartyId> from);

  [[nodiscard]] std::optional<Hold> find(const std::string& id) const;  // in force

 private:
  // What a row keeps beside the hold.
  struct Kept {
    std::optional<Row> row;
    std::optional<Instant> ordered;  // time of the last order about it
    std::string order;               // and the note
  };
  class Busy;

  Result<Kept> kept(const std::string& id) const;
  awaitable<Result<Taken>> obey(audit::SignedOrder order, std::string note);
  awaitable<Result<Hold>> put(Hold hold, HoldCommit with, const std::string& note);
  awaitable<Result<void>> end(
      std::string id,
      std::optional<Hold> hold,
      HoldBy by,
      std::string reference,
      HoldCommit with,
      const std::string& note,
      Instant ordered
  );
  awaitable<void> record_refusal(std::string note, std::optional<PartyId> from, Message reason);
  bool may_record(const std::optional<PartyId>& from);
  void publish();

  HoldBookParts parts_;
  PartyId self_;
  std::vector<audit::Regulator> regulators_;
  std::function<void()> changed_;
  std::map<std::string, Hold> standing_;  // in force, by id
  std::set<std::string> busy_;            // ids that are being committed
  struct Refusals {
    Instant since;
    int count = 0;
  };
  std::map<std::string, Refusals> refusals_;  // by sender
};

}  // namespace tally::usage
