// Asks the programs that decide offers with `"decide": "hook"` (docs/events.md): one signed POST a
// question, and no decision but a good answer within the deadline.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tally/core/clock.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/peer.hpp"
#include "tally/events/program.hpp"
#include "tally/negotiation/approvals.hpp"

namespace tally::events {

struct Hook : Program {
  Nanos deadline = seconds(10);
  bool signed_answers = true;
};

// The name under which `Peer` knows one.
PartyId hook_party(const std::string& name);

struct HookParts {
  Peer& programs;
  Clock& clock;
  Timers& timers;
};

class HookCaller final : public negotiation::DecisionHook {
 public:
  HookCaller(HookParts parts, std::vector<Hook> hooks);

  awaitable<negotiation::HookAnswer> ask(negotiation::Question question) override;

 private:
  HookParts parts_;
  std::map<std::string, Hook> hooks_;
};

// The body that a hook gets.
Json question_json(const negotiation::Question& question);
// What an answer's body says. Unknown members are passed over. Errors: invalid
// events.answer-malformed {reason}.
Result<negotiation::HookAnswer> parse_hook_answer(std::string_view body);

}  // namespace tally::events
