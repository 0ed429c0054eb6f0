// Looks whether what is held is still what was received: reads each artefact through and compares
// its digest with the one in its holding. By itself, each once in a while and at a pace that leaves
// the disk to others; on an order at once.
//
// What is altered, truncated or missing is marked in its holding, with a record, so that no use is
// permitted of it; one that is whole again loses the mark. Home executor, but for `state` and
// `suspect`.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tally/core/clock.hpp"
#include "tally/core/notices.hpp"
#include "tally/custody/custody.hpp"
#include "tally/custody/holdings.hpp"

namespace tally::custody {

struct RecheckSettings {
  Nanos every = 0;                               // of each artefact; 0: on an order alone
  std::uint64_t bytes_per_second = 16ULL << 20;  // of those by itself
};

struct RecheckerParts {
  Custody& custody;
  Holdings& holdings;
  Clock& clock;
  Timers& timers;
  Random& random;
  Notices& notices;
};

class Rechecker {
 public:
  Rechecker(RecheckerParts parts, RecheckSettings settings);
  ~Rechecker();
  Rechecker(const Rechecker&) = delete;
  Rechecker& operator=(const Rechecker&) = delete;

  // To be looked at next, and not at a pace. Errors: not_found (custody.unknown-artefact): nothing
  // is held under this id.
  Result<void> order(const ArtefactId& id);
  void order_all();
  // Looks at what was ordered and what is due; returns when it is cancelled.
  awaitable<void> run();
  // One of them now. The holding says afterwards what came of it. Errors: unavailable (its bytes
  // could not be read now, or the mark not be stored), not_found (it is not held any more).
  awaitable<Result<void>> check(ArtefactId id, bool paced);
  // A use met something: it is looked at as with an order. Any thread.
  void suspect(const ArtefactId& id);

  struct State {
    std::optional<ArtefactId> checking;
    std::optional<Instant> started;
    std::size_t ordered = 0;  // that wait
  };
  [[nodiscard]] State state() const;

 private:
  struct Inner;
  std::shared_ptr<Inner> inner_;
};

// Altered holdings that their agreements would be read from: what readiness and uses refuse.
std::vector<Holding> unreadable(const Holdings& holdings);
// What a use under an agreement reads: the latest that is held and whole; else an altered one, or
// none.
std::optional<Holding> to_read(const Holdings& holdings, const AgreementId& agreement);

}  // namespace tally::custody
