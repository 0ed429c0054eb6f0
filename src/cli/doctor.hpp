// `tally doctor`: looks at everything that an operator is asked for when a connector does not work,
// and says of each thing whether it is well and what to do. The folder's files are looked at also
// while no connector runs; the rest is asked of the running one.
#pragma once

#include "console.hpp"
#include "management.hpp"

namespace tally::cli {

// Asks each configured peer for an empty catalogue, which it may record. Exit: 0 all is well, 1
// something is not, 2 something will soon not be, 3 no folder.
int doctor(const Console& console, const Connection& connection);

}  // namespace tally::cli
