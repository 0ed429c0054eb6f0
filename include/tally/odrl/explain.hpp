// Decisions and policies in sentences. Codes and parameters; core renders them, in English or
// Chinese. Pure.
#pragma once

#include <string>
#include <vector>

#include "tally/core/message.hpp"
#include "tally/odrl/evaluate.hpp"

namespace tally::odrl {

// Which rule decided or came closest, which of its premises failed, what was required, what was
// found and who vouches for it, and for a refusal what would change it. The first sentence is the
// answer and its reason; the others say why. A decision made with Explain::none has only the first.
std::vector<Message> explain(const Decision& decision);

// A policy read out in plain sentences, a line each: every rule with who, what, when and what has
// to be done, the conflict term, and who vouches for each value it looks at.
std::vector<std::string> read_out(const CompiledPolicy& policy, Lang lang);

}  // namespace tally::odrl
