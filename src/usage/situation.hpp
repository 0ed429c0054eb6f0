// Everything that odrl is shown of one act: the request and the world around it. Lives as long as
// the decision takes, under the lock of the entry's shard.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tally/core/clock.hpp"
#include "tally/odrl/evaluate.hpp"
#include "tally/usage/enforcer.hpp"

#include "ledger.hpp"

namespace tally::usage {

// What holds at this side at the moment.
struct Around {
  bool witnessed = false;           // nothing is missing that a policy calls `strict` waits for
  bool receipt_before_key = false;  // data goes out so, or came so
  std::optional<Instant> last_contact;
  bool begun = false;  // a use goes on: what it owes itself, or comes due meanwhile, stops the next
};

class Situation {
 public:
  // `entry` and `act` outlive it. `without`: null, or the use that the act continues. An act that
  // repeats an answer leaves the use of that answer out by itself.
  Situation(
      const Entry& entry,
      const Act& act,
      const ClockReading& reading,
      const Around& around,
      const Use* without
  );
  Situation(const Situation&) = delete;
  Situation& operator=(const Situation&) = delete;

  [[nodiscard]] odrl::Decision decide(odrl::Explain explain = odrl::Explain::none) const;

 private:
  const odrl::CompiledPolicy& policy_;
  odrl::Request request_;
  std::vector<odrl::UsageEntry> usage_;       // where the entry's own would not do
  std::vector<odrl::Fact> facts_;             // where the act has some of its own
  std::vector<RuleId> overdue_;               // likewise
  std::span<const std::string> enforceable_;  // duties
  odrl::World world_;
};

}  // namespace tally::usage
