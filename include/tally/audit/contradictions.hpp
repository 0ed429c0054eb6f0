// Two checkpoints that one log signed and that cannot stand beside each other. Both notes are kept
// for good. They stand against the log's owner, and no new contract is made with it, until the log
// shows that it continues after all (audit::Witness), or an operator lifts them. Home executor
// only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tally/audit/journal.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/digest.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/store.hpp"

namespace tally::audit {

// Of one log, standing, proven and unshown each. The first says all that matters; a peer cannot
// fill the disk with more.
constexpr std::size_t most_contradictions = 8;
// Larger pairs of notes stand in the store alone, and in records and answers by their digests: a
// record has at most 16 KiB.
constexpr std::size_t most_shown_notes = 8 << 10;

struct Contradiction {
  std::string origin;
  PartyId party;  // whose log; empty: of a log that the operator named, which stops no contract
  // Same size, two roots: anyone can see it from the two notes. Otherwise the log signed a longer
  // tree and did not show that it continues the first; it may still do so.
  bool proven = false;
  std::string first;   // the note that was cosigned here, verbatim
  std::string second;  // the one that contradicts it, verbatim
  std::string event;   // of its record `equivocation.found`; empty: kept by an earlier version
  struct Lifted {
    Instant at;
    std::string reason;
  };
  std::optional<Lifted> lifted;

  // What it is called by: the SHA-256 of the second note.
  [[nodiscard]] Digest evidence() const { return sha256(second); }
};

// The row of a new one, not stored yet. nullopt: it is kept already, lifted or not, or enough of
// its kind stand against the log.
Result<std::optional<Row>> new_contradiction(Store& store, const Contradiction& found);
// The row of one whose second checkpoint has this size and root, lifted or not.
Result<std::optional<Row>> find_contradiction(
    Store& store, std::string_view origin, std::uint64_t size, const Digest& root
);

// What stands against a party: at most a few for each log.
Result<std::vector<Contradiction>> contradictions(Store& store, const PartyId& party);
// Everything that is kept of a log, also what was lifted.
Result<std::vector<Contradiction>> contradictions_of(Store& store, std::string_view origin);

struct LiftParts {
  Store& store;
  Journal& journal;
  Clock& clock;
  Random& random;
};
// What an operator lifts: exactly what it has seen, so that one which comes meanwhile stands.
struct Lift {
  std::string origin;
  std::vector<Digest> evidence;  // Contradiction::evidence of each
  std::string reason;            // a code: lower-case letters, digits and '-'
};
// All of them or none. On return the rows and a record `equivocation.lifted` for each are durable;
// gives what was lifted. Errors: not_found audit.no-contradiction (one of them does not stand),
// unavailable.
awaitable<Result<std::vector<Contradiction>>> lift_contradictions(LiftParts parts, Lift lift);

}  // namespace tally::audit
