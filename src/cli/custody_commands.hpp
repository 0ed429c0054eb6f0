// `tally custody`: what a running connector holds for others, whether it is whole, and its wrapping
// key.
#pragma once

#include <string>

#include "console.hpp"
#include "management.hpp"

namespace tally::cli {

// How much is held, under which keys; exit 1 when something is altered.
int custody(const Console& console, Management& api);

struct CustodyCheckOptions {
  std::string artefact;  // the answer is of this one alone; empty: of all that are held
  int wait_seconds = 3600;
};
// Looks and waits until it was looked at; exit 1 when something is altered, 2 when the time is
// over.
int custody_check(const Console& console, Management& api, const CustodyCheckOptions& options);

// Waits until everything lies under the new key and the one before is destroyed; exit 2 when the
// time is over: the connector goes on with it.
int rotate_wrapping_key(const Console& console, Management& api, int wait_seconds);

}  // namespace tally::cli
