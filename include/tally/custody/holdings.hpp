// What this connector holds under which agreement: the rows of kind "artefact", with a copy in
// memory. Changes go through the journal, so that a state and its record belong together.
//
// Changes on the home executor; `of` and `find` from any thread.
#pragma once

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
  Json form;  // its columns, and the duties that made it so, as the provider said; or null
  Instant received;
  HoldingState state = HoldingState::staged;
  std::optional<Instant> destroyed;
  Message reason;     // why it is being or was destroyed
  bool told = false;  // the provider's deletion record was handed to delivery
  std::uint64_t version = 0;
};

class Holdings {
 public:
  Holdings(Store& store, audit::Journal& journal);
  ~Holdings();
  Holdings(const Holdings&) = delete;
  Holdings& operator=(const Holdings&) = delete;

  Result<void> load();  // at start

  [[nodiscard]] std::optional<Holding> find(const ArtefactId& id) const;
  [[nodiscard]] std::vector<Holding> of(const AgreementId& agreement) const;
  [[nodiscard]] std::vector<Holding> all() const;

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
