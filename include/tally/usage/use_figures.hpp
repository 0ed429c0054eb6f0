// What the enforcement point has done since the process began, and how the ledger stands, as
// numbers for whoever watches a connector (docs/operations.md, "Metrics"). A value.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tally/core/counting.hpp"
#include "tally/core/ids.hpp"

namespace tally::usage {

struct UseFigures {
  struct OfAction {
    std::uint64_t permitted = 0;  // new uses
    std::uint64_t continued = 0;  // grants of a use that counted before
    std::uint64_t refused = 0;
  };
  std::map<std::string, OfAction> actions;        // as records say it; "other": of no vocabulary
  std::map<std::string, std::uint64_t> refusals;  // by the code of Refusal::code
  std::uint64_t unrecorded = 0;                   // decided, and the log did not take the record
  Histogram::Reading taken;  // nanoseconds of `authorise`: deciding, and the wait for the log

  std::array<std::uint64_t, 4> agreements{};  // by Closed
  // Duties under agreements that are not over. Overdue: those that are confirmed, and those whose
  // lateness custody or informer have told.
  std::uint64_t duties_due = 0;
  std::uint64_t duties_overdue = 0;
  // Rules of open agreements with a limit that is counted here, the fewest uses left first.
  struct Left {
    AgreementId agreement;
    RuleId rule;
    std::int64_t uses = 0;
  };
  std::vector<Left> left;
};

}  // namespace tally::usage
