// When peers were last heard that proved who they are, as `checkIn` of a policy asks: kept in the
// store, so that a restart forgets at most half a minute of it and nothing is gained by an older
// copy.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "tally/audit/journal.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/peer.hpp"
#include "tally/core/store.hpp"
#include "tally/usage/surroundings.hpp"

namespace tally::daemon {

class LastContacts final : public usage::Contacts {
 public:
  LastContacts(Store& store, audit::Journal& journal, Clock& clock);

  Result<void> load();  // at start
  // A request of the party came in, or an answer of its server. Any thread. By a clock that cannot
  // be believed nothing is noted.
  void heard(const PartyId& party);
  [[nodiscard]] std::optional<Instant> last_contact(const PartyId& party) const override;
  // Stores what is newer than what is stored by `step`. Home executor. Errors: those of
  // Journal::commit; what was not stored is tried again.
  awaitable<Result<void>> keep(Nanos step);

 private:
  struct Contact {
    Instant last;
    std::optional<Instant> stored;
    std::uint64_t version = 0;  // of its row
  };
  Store& store_;
  audit::Journal& journal_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::map<PartyId, Contact> contacts_;  // mutex_
};

// Notes whose server answered, and is the Peer that it stands before in everything else.
class HeardPeer final : public Peer {
 public:
  HeardPeer(Peer& peer, LastContacts& contacts) : peer_(peer), contacts_(contacts) {}
  awaitable<Result<PeerAnswer>> send(PeerRequest request) override;
  awaitable<Result<PeerStream>> open(PeerRequest request) override;

 private:
  Peer& peer_;
  LastContacts& contacts_;
};

}  // namespace tally::daemon
