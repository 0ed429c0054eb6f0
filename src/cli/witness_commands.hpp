// How a connector's log is witnessed and which logs it witnesses, and what an operator does about a
// partner's log that contradicted itself. Both ask the running connector.
#pragma once

#include <string>
#include <vector>

#include "console.hpp"
#include "management.hpp"

namespace tally::cli {

// Two tables, the logs witnessed and the witnesses, with a sentence for all that is wrong. Exit: 0,
// 1 a contradiction stands against a log, or a witness is missing.
int audit_witness(const Console& console, Management& api);

struct LiftOptions {
  std::string origin;                 // of the log
  std::string reason;                 // a code
  std::vector<std::string> evidence;  // which contradictions; none: all that stand now
};
// Prints each that is lifted. Exit: 0, 1 nothing stands against the log, or it was refused.
int audit_lift(const Console& console, Management& api, const LiftOptions& options);

}  // namespace tally::cli
