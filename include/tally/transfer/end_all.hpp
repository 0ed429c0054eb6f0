// What negotiation::end_all is for agreements, for transfers: ends every one that is open in a
// store on which nothing runs, with its tokens.
#pragma once

#include "tally/negotiation/end_all.hpp"

namespace tally::transfer {

// How many were open. Each gets a `transfer.terminated`, and its peer is told. Errors: as there.
Result<std::size_t> end_all(Store& store, const negotiation::EndAll& how, Transaction& change);

}  // namespace tally::transfer
