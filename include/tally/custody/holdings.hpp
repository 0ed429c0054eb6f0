// What this connector holds under which agreement: the rows of kind "artefact", with a copy in
// memory. Changes go through the journal, so that a state and its record belong together.
//
// Changes on the home executor; `of` and `find` from any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/journal.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/store.hpp"

namespace tally::custody {

enum class HoldingState {
  staged,      // complete, not yet received: nobody can read it
  held,        // may be read, through usage
  destroying,  // obligation.due is durable; the key may be there still
  destroyed,   // the key is gone; the row stays as the proof that there was something
};

struct Holding {
  ArtefactId id;
  AgreementId agreement;
  AssetId asset;
  PartyId provider;
  Pid process;  // our own pid of the transfer that brought it
  std::string content;
  std::uint64_t bytes = 0;
  std::string media_type;
  std::string asset_class;  // as the provider said with the data, or empty
  Json form;  // its columns, and the duties that made it so, as the provider said; or null
  Instant received;
  HoldingState state = HoldingState::staged;
  std::optional<Instant> destroyed;
  Message reason;                  // why it is being or was destroyed
  bool told = false;               // the provider's deletion record was handed to delivery
  std::optional<Instant> checked;  // when its bytes were last compared with `content`
  Message altered;  // why they are not what was received; no code: they were, when last looked at
  // What was derived here from data under these agreements, `agreement` the first of them: it goes
  // by the terms of all. Empty: it was received.
  std::vector<AgreementId> bound_by;
  // The masked copy of another one, in whose place it is held: that one. Empty: it is none.
  ArtefactId instead_of;
  // Of one whose masked copy is held instead: the duties that are fulfilled once it is destroyed.
  std::vector<RuleId> masked_by;
  bool late = false;  // a mask that was due could not be done: that is recorded
  // Of one that is being or was destroyed: under which of its agreements.
  AgreementId ended_under;
  std::uint64_t version = 0;

  [[nodiscard]] bool is_derived() const { return !bound_by.empty(); }
  [[nodiscard]] bool is_under(const AgreementId& one) const;
  // Whose matter its end is.
  [[nodiscard]] const AgreementId& ends_under() const {
    return ended_under.empty() ? agreement : ended_under;
  }
};

// The row of a holding as an operator sees it (docs/management-api.md, "GET /api/v1/artefacts"):
// times as date-times, messages as code and parameters. Errors: internal (custody.row-malformed).
Result<Json> shown(const Row& row);

class Holdings {
 public:
  Holdings(Store& store, audit::Journal& journal);
  ~Holdings();
  Holdings(const Holdings&) = delete;
  Holdings& operator=(const Holdings&) = delete;

  Result<void> load();  // at start

  [[nodiscard]] std::optional<Holding> find(const ArtefactId& id) const;
  // What was received under the agreement.
  [[nodiscard]] std::vector<Holding> of(const AgreementId& agreement) const;
  // What goes by its terms: that, and what was derived from it.
  [[nodiscard]] std::vector<Holding> under(const AgreementId& agreement) const;
  [[nodiscard]] std::vector<Holding> all() const;
  // Each of them, in the order of ids, without a copy. `look` calls nothing here.
  void each(const std::function<void(const Holding&)>& look) const;

  // Stores the new states together with their records. Durable on return, both.
  awaitable<Result<std::vector<audit::Appended>>> save(
      std::vector<Holding> changed,
      std::vector<audit::RecordDraft> records,
      audit::Priority priority = audit::Priority::ordinary
  );
  awaitable<Result<void>> erase(Holding holding);  // of a staged one that was discarded

  // For a log that begins in place of another: what was being destroyed, or was and the provider is
  // not told yet, is destroyed again, so that its records stand in that log. Adds to `change`.
  static Result<void> begin_again(Store& store, Transaction& change);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tally::custody
