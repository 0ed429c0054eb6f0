// Holds: what stops uses without ending anything. An operator places one, the other side of an
// agreement, or a regulator; only who placed a hold lifts it. Values; safe from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tally/audit/hold_order.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/message.hpp"
#include "tally/core/result.hpp"

namespace tally::usage {

enum class HoldBy : std::uint8_t { operator_, peer, regulator };
std::string_view to_string(HoldBy by);  // "operator", …
using audit::HoldOn;
using audit::HoldScope;

struct Hold {
  std::string id;  // within this connector
  HoldBy by = HoldBy::operator_;
  std::string name;  // of the regulator, or URI of the peer; empty: our own operator
  HoldOn on;
  Instant since;
  std::optional<Instant> until;  // then it is over without being lifted
  std::string reference;         // a code, or a regulator's file; never free text of ours

  // By a clock that cannot be believed no hold is over.
  [[nodiscard]] bool in_force(const ClockReading& now) const {
    return !until || !now.reliable || now.at < *until;
  }
  bool operator==(const Hold&) const = default;
};
Json to_json(const Hold& hold);  // as the management API shows it
// Why an act under `agreement` is refused: who holds, since when, what is to be done.
Message explain(const Hold& hold, const AgreementId& agreement);

// Whose act it is, as holds ask.
struct HeldAct {
  const AgreementId& agreement;
  const PartyId& provider;
  const PartyId& consumer;
  const AssetId& asset;
  const AppId& app;
};

// All holds at one moment. Immutable.
class HoldSet {
 public:
  explicit HoldSet(std::vector<Hold> holds);
  // The hold that stops the act, or null; of several the one that was placed first.
  [[nodiscard]] const Hold* stopping(const HeldAct& act, const ClockReading& now) const;
  [[nodiscard]] const std::vector<Hold>& all() const { return holds_; }

 private:
  // By scope and target: a look is the same however many agreements are held.
  std::vector<Hold> holds_;
  std::unordered_map<std::string, std::vector<std::size_t>> places_;
};
using HoldSetPtr = std::shared_ptr<const HoldSet>;  // null: none

}  // namespace tally::usage
