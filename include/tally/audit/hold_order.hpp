// What a regulator orders: a hold, or the end of one, as a note that it signs and the participant
// that it is addressed to keeps (docs/peer-api.md, "Holds"). Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tally/audit/note.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/json.hpp"
#include "tally/core/result.hpp"

namespace tally::audit {

enum class HoldScope : std::uint8_t { everything, agreement, asset, party, application };
std::string_view to_string(HoldScope scope);
std::optional<HoldScope> parse_hold_scope(std::string_view text);

// What a hold is on. `target`: an id; of a party its URI, or trust domain, ':' and URI; of
// everything empty.
struct HoldOn {
  HoldScope scope = HoldScope::everything;
  std::string target;
  bool operator==(const HoldOn&) const = default;
};
// {"scope", "target"}; as members of an order. Errors: invalid (audit.hold-malformed), with the
// pointer.
Result<HoldOn> parse_hold_on(const Json& body);

// A regulator as configured: whose orders are obeyed. `name` is ours; the key has one of its own.
struct Regulator {
  std::string name;
  VerifierKey key;
};

struct HoldOrder {
  std::string to;      // URI of the participant that has to obey
  bool lifts = false;  // else it places
  std::string hold;    // the regulator's name for it: letters, digits, '.', '_', '-', 1 to 64
  HoldOn on;           // of a lift: nothing
  Instant time;        // of two orders about one hold the later one holds
  std::optional<Instant> until;
  std::string reference;  // the regulator's file: 0 to 200 bytes, no control characters
  bool operator==(const HoldOrder&) const = default;
};

// Whether it fits as the id of a hold.
bool is_hold_name(std::string_view text);
// Errors: invalid audit.hold-malformed {member}, with the pointer.
Result<void> check(const HoldOrder& order);

// "tally/hold-order/v1\n" JCS "\n", as a signed note. Errors: those of check and sign_note.
Result<std::string> sign_hold_order(
    const HoldOrder& order, const VerifierKey& key, const Signer& signer
);
struct SignedOrder {
  HoldOrder order;
  std::string regulator;  // Regulator::name
};
// Errors: invalid: those of open_signed_json (none of these keys signed it, or not this), and
// audit.hold-malformed.
Result<SignedOrder> verify_hold_order(std::string_view note, std::span<const Regulator> regulators);

}  // namespace tally::audit
