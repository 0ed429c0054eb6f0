// What waits for a decision that no rule of this connector takes: by a person, or by a program of
// the operator that is asked for it. Values, and the interface behind which that program is asked.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/message.hpp"
#include "tally/negotiation/reactions.hpp"

namespace tally::negotiation {

// Who decided, as records call it: never a name, which may be a person's.
struct Decider {
  std::string role;   // of the token: "operator"; of a hook: "hook"
  std::string token;  // the first 16 hex digits of its SHA-256
};

// What is to be decided.
struct Question {
  Pid pid;
  Situation situation;
  Json policy;  // what is on the table
  Message why;  // why it waits
};

// A program that decides offers with `"decide": "hook"`.
class DecisionHook {
 public:
  virtual ~DecisionHook() = default;
  // Asks, and does not wait. The answer is NegotiationService::approve, reject or counter; where it
  // never comes, a person can give it. The same question comes again after a restart, and whenever
  // the rules change. Home executor.
  virtual void ask(Question question) = 0;
};

}  // namespace tally::negotiation
