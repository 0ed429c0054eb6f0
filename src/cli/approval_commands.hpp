// What waits for a decision in a running connector, and the decisions.
#pragma once

#include <string>

#include "console.hpp"
#include "management.hpp"

namespace tally::cli {

int approvals(const Console& console, Management& api);
int approve(const Console& console, Management& api, const std::string& id);
// `reason` may be empty; it is told to the other side.
int reject(
    const Console& console, Management& api, const std::string& id, const std::string& reason
);
// `file`: an ODRL policy, or an offer document, whose `policy` is taken.
int counter(
    const Console& console, Management& api, const std::string& id, const std::string& file
);

}  // namespace tally::cli
