// A decision in sentences: which rule decided or came closest, which of its premises failed, what
// was required, what was found and who vouches for it. Codes and parameters; core renders them.
// Pure.
#pragma once

#include <vector>

#include "tally/core/message.hpp"
#include "tally/odrl/evaluate.hpp"

namespace tally::odrl {

// The first sentence is the answer and its reason; the others say why. A decision made with
// Explain::none has only the first.
std::vector<Message> explain(const Decision& decision);

}  // namespace tally::odrl
