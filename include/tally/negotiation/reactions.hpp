// What this connector does by itself in a state of a negotiation or a transfer, where somebody
// wrote a rule for it (docs/reactions.md). A rule takes the place of what would otherwise happen by
// itself; without one everything is as always. Values; lookups from any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/json.hpp"
#include "tally/dsp/state_machine.hpp"

namespace tally::negotiation {

enum class ProcessKind { negotiation, transfer };
std::string_view to_string(ProcessKind kind);  // "negotiation", "transfer"

enum class Act {
  offer,      // negotiation, provider: sends an offer
  agree,      // provider
  finalize,   // provider
  accept,     // consumer
  counter,    // consumer: asks for something else
  verify,     // consumer
  start,      // transfer, provider
  resume,     // transfer, both: out of SUSPENDED
  suspend,    // both
  complete,   // both
  terminate,  // either kind, both
  wait,       // nothing, until a person or the peer acts
};
std::string_view to_string(Act act);  // as rules spell it

// Where a process stands when it is asked what comes next.
struct Situation {
  ProcessKind kind = ProcessKind::negotiation;
  dsp::Role role = dsp::Role::provider;  // ours
  PartyId peer;
  AssetId asset;
  AgreementId agreement;  // empty: none yet
  OfferId offer;
  std::string state;   // as the protocol spells it
  int occurrence = 1;  // how often this process has entered that state, this time included
};

struct Reaction {
  Act act = Act::wait;
  Nanos after = 0;             // from the moment the state was entered
  std::string reason;          // told to the peer; empty: none was written
  std::optional<Json> policy;  // of offer and counter: what to propose; none: as the act says
  std::string rule;            // which rule it was: file and JSON pointer, for people
};

class Reactions {
 public:
  virtual ~Reactions() = default;
  // No rule at all: nothing need be looked up to ask for one.
  [[nodiscard]] virtual bool empty() const = 0;
  // nullopt: no rule matches.
  [[nodiscard]] virtual std::optional<Reaction> find(const Situation& situation) const = 0;
};

}  // namespace tally::negotiation
