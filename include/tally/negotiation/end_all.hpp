// Ends every agreement and every negotiation that is open in a store on which nothing runs: its log
// is given up, and with it the knowledge of what was used. Nothing is committed here: rows,
// messages to the peers and drafts of records are added to one transaction, which is the caller's.
#pragma once

#include <cstddef>

#include "tally/core/clock.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/message.hpp"
#include "tally/core/store.hpp"

namespace tally::negotiation {

struct EndAll {
  Clock& clock;
  Random& random;
  PartyId self;
  Message reason;              // stands in the records, and is told to the peers
  std::uint64_t log_size = 0;  // of the log that the records are for
};

struct Ended {
  std::size_t agreements = 0;  // that were agreed, active or suspended
  std::size_t processes = 0;   // that had not come to their end
};

// Each agreement gets a `contract.terminated`; a peer is told of the end of a negotiation that is
// under way, and of no agreement: the protocol has no message for it, so it hears of it when it
// uses one. Errors: those of the store; internal (negotiation.row-unreadable).
Result<Ended> end_all(Store& store, const EndAll& how, Transaction& change);

}  // namespace tally::negotiation
