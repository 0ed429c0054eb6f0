// The reasons that a record gives: member `reason`, one or a list of codes with parameters.
#pragma once

#include <vector>

#include "tally/core/json.hpp"
#include "tally/core/message.hpp"

namespace tally::audit {

// In the order of the record; empty when it gives none. A plain string counts as a code.
std::vector<Message> reasons_of(const Json& record);

}  // namespace tally::audit
