// A program of the operator that this connector calls: what those that decide and those that are
// told have in common.
#pragma once

#include <string>

#include "tally/events/call_signature.hpp"

namespace tally::events {

// As the configuration has it.
struct Program {
  std::string name;  // within its list
  std::string url;
  CallKey key;
};

}  // namespace tally::events
