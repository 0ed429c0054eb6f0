// What waits for a decision that no rule of this connector takes: by a person, or by a program of
// the operator that is asked for it. Values, and the interface behind which that program is asked.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "tally/core/clock.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/message.hpp"
#include "tally/negotiation/reactions.hpp"

namespace tally::negotiation {

// Who decided, as records call it: never a name, which may be a person's.
struct Decider {
  std::string role;   // of the token: "operator"; of a hook: "hook"
  std::string token;  // the first 16 hex digits of its SHA-256; of a hook, of its key
};

// What is to be decided by a hook.
struct Question {
  std::string hook;  // which one: the offer names it
  Pid pid;
  Situation situation;
  Json offer;    // what the catalogue offers the peer
  Json request;  // what it asks for
  // null: the request stays within the offer. Else the first way in which it goes beyond it:
  // {constraint, pointer, required, found, act: [{operand, value}]}, where `act` is one that the
  // request permits and the offer does not (empty: none was found).
  Json wider;
};

struct HookAnswer {
  enum class Decision {
    silent,   // no answer, or none that counts: the negotiation ends
    agree,    // what goes beyond the offer is not agreed all the same, and ends
    reject,   // ends it
    counter,  // proposes `policy`
    wait,     // leaves it to a person
  };
  Decision decision = Decision::silent;
  std::string reason;  // of reject: told to the peer; may be empty
  Json policy;         // of counter: not checked yet
  Message fault;       // of silent: what was wrong, for the operator
  std::string key;     // as Decider::token
};

// A program that decides offers with `"decide": "hook"`.
class DecisionHook {
 public:
  virtual ~DecisionHook() = default;
  // Comes back within the hook's deadline, whatever the program does. The same question comes again
  // after a restart, and whenever the rules change, until it was answered. Home executor.
  virtual awaitable<HookAnswer> ask(Question question) = 0;
};

}  // namespace tally::negotiation
